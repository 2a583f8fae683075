DROP INDEX audit_event_by_tenant_kind;

DROP INDEX audit_event_by_tenant_code;

DROP INDEX audit_event_by_tenant_status;

DROP TABLE retention_horizon;

DROP TABLE retention_report;

DROP TABLE retention_rule;

DROP TABLE erasure;

DROP TABLE legal_hold;
