DROP INDEX audit_event_by_credential;
DROP INDEX audit_event_by_tenant_status;
DROP INDEX audit_event_by_status;
DROP INDEX audit_event_by_tenant_kind;
DROP INDEX audit_event_by_kind;
DROP INDEX audit_event_by_tenant_code;
DROP INDEX audit_event_by_code;
DROP INDEX audit_event_by_region;
DROP INDEX audit_event_by_tenant;

CREATE INDEX audit_event_by_kind ON audit_event (kind, at, origin, log_index);
CREATE INDEX audit_event_by_tenant ON audit_event (tenant, at, origin, log_index);
CREATE INDEX audit_event_by_status ON audit_event (status, at, origin, log_index) WHERE status IS NOT NULL;
CREATE INDEX audit_event_by_code ON audit_event (code, at, origin, log_index) WHERE code IS NOT NULL;
CREATE INDEX audit_event_by_region ON audit_event (region, at, origin, log_index) WHERE region IS NOT NULL;
CREATE INDEX audit_event_by_credential ON audit_event (credential, at) WHERE credential IS NOT NULL;
CREATE INDEX audit_event_by_tenant_status ON audit_event (tenant, status, at, origin, log_index)
    WHERE status IS NOT NULL;
CREATE INDEX audit_event_by_tenant_code ON audit_event (tenant, code, at, origin, log_index)
    WHERE code IS NOT NULL;
CREATE INDEX audit_event_by_tenant_kind ON audit_event (tenant, kind, at, origin, log_index);
