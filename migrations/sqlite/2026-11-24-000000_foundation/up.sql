CREATE TABLE revision (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    value BIGINT NOT NULL
);

CREATE TABLE tenant (
    id TEXT NOT NULL PRIMARY KEY,
    display_name TEXT NOT NULL,
    plan TEXT NOT NULL,
    status TEXT NOT NULL,
    residency TEXT NOT NULL,
    purposes TEXT NOT NULL,
    labels TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE api_key (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenant (id),
    name TEXT NOT NULL,
    prefix TEXT NOT NULL,
    hash TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);

CREATE TABLE jwt_issuer (
    issuer TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenant (id),
    algorithm TEXT NOT NULL,
    public_key TEXT NOT NULL
);

CREATE TABLE model_version (
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    digest TEXT NOT NULL,
    generative BOOLEAN NOT NULL,
    risk_class TEXT NOT NULL,
    labels TEXT NOT NULL,
    shared_with TEXT NOT NULL,
    PRIMARY KEY (name, version)
);

CREATE TABLE pod (
    id TEXT NOT NULL PRIMARY KEY,
    region TEXT NOT NULL,
    url TEXT NOT NULL,
    models TEXT NOT NULL,
    draining BOOLEAN NOT NULL
);

CREATE TABLE policy_bundle (
    digest TEXT NOT NULL PRIMARY KEY,
    document TEXT NOT NULL,
    author TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE policy_activation (
    version BIGINT NOT NULL PRIMARY KEY,
    digest TEXT NOT NULL REFERENCES policy_bundle (digest),
    activated_at BIGINT NOT NULL,
    activated_by TEXT NOT NULL
);

CREATE TABLE console_user (
    id TEXT NOT NULL PRIMARY KEY,
    display_name TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    roles TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    disabled BOOLEAN NOT NULL
);

CREATE TABLE console_session (
    token_hash TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES console_user (id) ON DELETE CASCADE,
    csrf TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE ledger_log (
    origin TEXT NOT NULL PRIMARY KEY,
    vkey TEXT NOT NULL,
    dir TEXT NOT NULL,
    verified_at BIGINT,
    verified_size BIGINT,
    findings TEXT
);

CREATE TABLE ledger_cursor (
    origin TEXT NOT NULL PRIMARY KEY,
    next_index BIGINT NOT NULL
);

CREATE TABLE audit_event (
    origin TEXT NOT NULL,
    log_index BIGINT NOT NULL,
    leaf_hash BLOB NOT NULL,
    at BIGINT NOT NULL,
    kind TEXT NOT NULL,
    decision_id TEXT,
    tenant TEXT,
    credential TEXT,
    model TEXT,
    action TEXT,
    region TEXT,
    status TEXT,
    code TEXT,
    policy TEXT,
    items BIGINT NOT NULL,
    characters BIGINT NOT NULL,
    tokens BIGINT NOT NULL,
    cost_micros BIGINT NOT NULL,
    currency TEXT,
    redactions TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (origin, log_index)
);

CREATE TABLE usage_daily (
    day TEXT NOT NULL,
    tenant TEXT NOT NULL,
    model TEXT NOT NULL,
    region TEXT NOT NULL,
    currency TEXT NOT NULL,
    calls BIGINT NOT NULL,
    refusals BIGINT NOT NULL,
    items BIGINT NOT NULL,
    characters BIGINT NOT NULL,
    tokens BIGINT NOT NULL,
    cost_micros BIGINT NOT NULL,
    PRIMARY KEY (day, tenant, model, region, currency)
);

CREATE TABLE usage_monthly (
    month_start BIGINT NOT NULL,
    tenant TEXT NOT NULL,
    currency TEXT NOT NULL,
    items BIGINT NOT NULL,
    cost_micros BIGINT NOT NULL,
    PRIMARY KEY (month_start, tenant, currency)
);

CREATE TABLE activity_daily (
    day TEXT NOT NULL,
    tenant TEXT NOT NULL,
    status TEXT NOT NULL,
    code TEXT NOT NULL,
    calls BIGINT NOT NULL,
    redacted BIGINT NOT NULL,
    PRIMARY KEY (day, tenant, status, code)
);

CREATE INDEX api_key_by_tenant ON api_key (tenant);
CREATE INDEX jwt_issuer_by_tenant ON jwt_issuer (tenant);
CREATE INDEX console_session_by_expiry ON console_session (expires_at);

-- Each search is newest first; a filter's column leads so that its page is one range of an index.
CREATE INDEX audit_event_by_at ON audit_event (at, origin, log_index);
CREATE INDEX audit_event_by_kind ON audit_event (kind, at, origin, log_index);
CREATE INDEX audit_event_by_tenant ON audit_event (tenant, at, origin, log_index);
CREATE INDEX audit_event_by_decision ON audit_event (decision_id) WHERE decision_id IS NOT NULL;
CREATE INDEX audit_event_by_status ON audit_event (status, at, origin, log_index) WHERE status IS NOT NULL;
CREATE INDEX audit_event_by_code ON audit_event (code, at, origin, log_index) WHERE code IS NOT NULL;
CREATE INDEX audit_event_by_region ON audit_event (region, at, origin, log_index) WHERE region IS NOT NULL;
-- When a key was last used.
CREATE INDEX audit_event_by_credential ON audit_event (credential, at) WHERE credential IS NOT NULL;
CREATE INDEX usage_daily_by_tenant ON usage_daily (tenant, day);

INSERT INTO revision (id, value) VALUES (1, 0);
