DROP TABLE retention_horizon;

DROP TABLE retention_report;

DROP TABLE retention_rule;

DROP TABLE erasure;

DROP TABLE legal_hold;
