ALTER TABLE tenant ADD COLUMN legal TEXT NOT NULL DEFAULT '{}';

ALTER TABLE model_version ADD COLUMN conformity BOOLEAN NOT NULL DEFAULT FALSE;

ALTER TABLE model_version ADD COLUMN instructions BOOLEAN NOT NULL DEFAULT FALSE;

ALTER TABLE api_key ADD COLUMN holder TEXT;

ALTER TABLE policy_activation ADD COLUMN change TEXT;

ALTER TABLE audit_event ADD COLUMN shadow TEXT;

CREATE INDEX audit_event_shadow ON audit_event (at) WHERE shadow IS NOT NULL;

CREATE TABLE policy_change (
    id TEXT NOT NULL PRIMARY KEY,
    edition BIGINT NOT NULL,
    title TEXT NOT NULL,
    state TEXT NOT NULL,
    base TEXT NOT NULL REFERENCES policy_bundle (digest),
    digest TEXT NOT NULL REFERENCES policy_bundle (digest),
    author TEXT NOT NULL,
    editors TEXT NOT NULL,
    simulation TEXT,
    approval TEXT,
    scheduled_at BIGINT,
    version BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE INDEX policy_change_state ON policy_change (state);

CREATE TABLE policy_step (
    change TEXT NOT NULL REFERENCES policy_change (id),
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    by_user TEXT NOT NULL,
    kind TEXT NOT NULL,
    digest TEXT NOT NULL,
    comment TEXT NOT NULL,
    PRIMARY KEY (change, number)
);

CREATE TABLE policy_simulation (
    id TEXT NOT NULL PRIMARY KEY,
    draft TEXT NOT NULL REFERENCES policy_bundle (digest),
    from_at BIGINT NOT NULL,
    until_at BIGINT NOT NULL,
    state TEXT NOT NULL,
    done BIGINT NOT NULL,
    total BIGINT NOT NULL,
    report TEXT,
    report_digest TEXT,
    failure TEXT,
    requested_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    finished_at BIGINT
);

CREATE INDEX policy_simulation_draft ON policy_simulation (draft, created_at);

CREATE TABLE policy_shadow (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    digest TEXT NOT NULL REFERENCES policy_bundle (digest),
    started_at BIGINT NOT NULL,
    started_by TEXT NOT NULL
);

CREATE TABLE stop (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    reason TEXT NOT NULL,
    by_user TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (kind, name)
);

CREATE TABLE access_token (
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL REFERENCES console_user (id),
    name TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE emergency (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL REFERENCES tenant (id),
    reason TEXT NOT NULL,
    by_user TEXT NOT NULL,
    at BIGINT NOT NULL,
    until_at BIGINT NOT NULL,
    reviewed_by TEXT,
    reviewed_at BIGINT,
    findings TEXT
);
