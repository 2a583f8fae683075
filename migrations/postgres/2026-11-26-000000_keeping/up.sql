-- What must not be deleted, whoever asks. Without a subject, nothing of the tenant's.
CREATE TABLE legal_hold (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    subject TEXT,
    reason TEXT NOT NULL,
    placed_by TEXT NOT NULL,
    placed_at BIGINT NOT NULL,
    released_by TEXT,
    released_at BIGINT
);

-- Requests to erase what is kept of a person, and what became of them.
CREATE TABLE erasure (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    subject TEXT NOT NULL,
    reason TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    requested_at BIGINT NOT NULL,
    finished_at BIGINT,
    key_count BIGINT NOT NULL,
    payload_count BIGINT NOT NULL,
    byte_count BIGINT NOT NULL,
    -- The certificate's place in the control plane's log.
    certificate BIGINT
);

CREATE INDEX erasure_by_time ON erasure (requested_at);

-- How long what is kept; what has no row has the default.
CREATE TABLE retention_rule (
    category TEXT NOT NULL PRIMARY KEY,
    floor_days BIGINT NOT NULL,
    ceiling_days BIGINT
);

-- What the last look at all records found, as JSON.
CREATE TABLE retention_report (
    id BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    document TEXT NOT NULL
);

-- Up to which day records have been deleted: sums of use up to then cannot be made again.
CREATE TABLE retention_horizon (
    id BIGINT NOT NULL PRIMARY KEY,
    day TEXT NOT NULL
);

-- What one tenant's page asks for together: without these, the rare ones of a tenant are looked for
-- among those of all tenants.
CREATE INDEX audit_event_by_tenant_status ON audit_event (tenant, status, at, origin, log_index)
    WHERE status IS NOT NULL;
CREATE INDEX audit_event_by_tenant_code ON audit_event (tenant, code, at, origin, log_index)
    WHERE code IS NOT NULL;
CREATE INDEX audit_event_by_tenant_kind ON audit_event (tenant, kind, at, origin, log_index);
