-- The statement that was signed when the bundle was put in force.
ALTER TABLE policy_activation ADD COLUMN statement TEXT NOT NULL DEFAULT '';

-- Persons whose data a legal entity has sent out of the jurisdiction that protects them.
CREATE TABLE transfer (
    entity TEXT NOT NULL,
    law TEXT NOT NULL,
    year BIGINT NOT NULL,
    subject TEXT NOT NULL,
    sensitive BOOLEAN NOT NULL,
    decision_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (entity, law, year, subject)
);

-- How many rows of `transfer` there are, and how many of them are of sensitive data.
CREATE TABLE transfer_total (
    entity TEXT NOT NULL,
    law TEXT NOT NULL,
    year BIGINT NOT NULL,
    subjects BIGINT NOT NULL,
    sensitive BIGINT NOT NULL,
    PRIMARY KEY (entity, law, year)
);

-- What a solver says of a draft and the bundle in force.
CREATE TABLE policy_proof (
    id TEXT NOT NULL PRIMARY KEY,
    draft TEXT NOT NULL REFERENCES policy_bundle (digest),
    base TEXT NOT NULL REFERENCES policy_bundle (digest),
    state TEXT NOT NULL,
    report TEXT,
    failure TEXT,
    requested_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    finished_at BIGINT
);

CREATE INDEX policy_proof_draft ON policy_proof (draft, created_at);
