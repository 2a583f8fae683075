-- Models: whose they are, and to whom they are offered.
CREATE TABLE model (
    name TEXT NOT NULL PRIMARY KEY,
    owner TEXT,
    open BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE model_share (
    model TEXT NOT NULL REFERENCES model (name),
    tenant TEXT NOT NULL,
    until_at BIGINT,
    purposes TEXT NOT NULL,
    preview BOOLEAN NOT NULL,
    terms TEXT NOT NULL,
    PRIMARY KEY (model, tenant)
);

-- Which version answers under which alias, which takes a share of its calls, and which is asked
-- besides.
CREATE TABLE model_route (
    model TEXT NOT NULL REFERENCES model (name),
    alias TEXT NOT NULL,
    digest TEXT NOT NULL,
    canary TEXT,
    canary_permille BIGINT,
    canary_by TEXT,
    mirror TEXT,
    mirror_permille BIGINT,
    PRIMARY KEY (model, alias)
);

-- What answered under an alias, one after the other.
CREATE TABLE model_assignment (
    model TEXT NOT NULL REFERENCES model (name),
    alias TEXT NOT NULL,
    number BIGINT NOT NULL,
    digest TEXT NOT NULL,
    at BIGINT NOT NULL,
    by_user TEXT NOT NULL,
    kind TEXT NOT NULL,
    change TEXT,
    PRIMARY KEY (model, alias, number)
);

-- What somebody wants to answer in production, for a second person to approve.
CREATE TABLE model_change (
    id TEXT NOT NULL PRIMARY KEY,
    edition BIGINT NOT NULL,
    model TEXT NOT NULL REFERENCES model (name),
    kind TEXT NOT NULL,
    digest TEXT NOT NULL,
    base TEXT,
    permille BIGINT,
    canary_by TEXT,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    author TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    decided_by TEXT,
    decided_at BIGINT,
    comment TEXT
);

CREATE INDEX model_change_by_model ON model_change (model, created_at);

-- In which regions which bundles are to be served; what is not wanted any more is here until every
-- pod has unloaded it.
CREATE TABLE model_placement (
    digest TEXT NOT NULL,
    region TEXT NOT NULL,
    wanted BOOLEAN NOT NULL,
    changed_at BIGINT NOT NULL,
    changed_by TEXT NOT NULL,
    PRIMARY KEY (digest, region)
);

-- How far each pod has come with them.
CREATE TABLE pod_model (
    pod TEXT NOT NULL,
    digest TEXT NOT NULL,
    state TEXT NOT NULL,
    failure TEXT,
    at BIGINT NOT NULL,
    PRIMARY KEY (pod, digest)
);

-- What versions answered, counted by the hour; a view of the ledger as the sums of use are.
CREATE TABLE model_observation (
    hour BIGINT NOT NULL,
    digest TEXT NOT NULL,
    tenant TEXT NOT NULL,
    measure TEXT NOT NULL,
    bucket TEXT NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (hour, digest, tenant, measure, bucket)
);

-- From where on somebody wants to know; what has no row has the default.
CREATE TABLE model_threshold (
    model TEXT NOT NULL,
    measure TEXT NOT NULL,
    permille BIGINT NOT NULL,
    PRIMARY KEY (model, measure)
);

CREATE TABLE model_alert (
    id TEXT NOT NULL PRIMARY KEY,
    model TEXT NOT NULL,
    digest TEXT NOT NULL,
    measure TEXT NOT NULL,
    value_permille BIGINT NOT NULL,
    threshold_permille BIGINT NOT NULL,
    raised_at BIGINT NOT NULL,
    cleared_at BIGINT
);

CREATE INDEX model_alert_open ON model_alert (digest, measure) WHERE cleared_at IS NULL;

-- What was served before was let in without a second person; it goes on as it was: the last version
-- answers.
ALTER TABLE model_version ADD COLUMN state TEXT NOT NULL DEFAULT 'approved';
ALTER TABLE model_version ADD COLUMN size BIGINT NOT NULL DEFAULT 0;
ALTER TABLE model_version ADD COLUMN card TEXT NOT NULL DEFAULT '{}';
ALTER TABLE model_version ADD COLUMN created_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE model_version ADD COLUMN created_by TEXT NOT NULL DEFAULT 'operator';

INSERT INTO model (name, owner, open, created_at)
SELECT name, NULL, BOOL_OR(shared_with = '[]'), 0 FROM model_version GROUP BY name;

INSERT INTO model_share (model, tenant, until_at, purposes, preview, terms)
SELECT DISTINCT model_version.name, shared.value, CAST(NULL AS BIGINT), '[]', FALSE, ''
FROM model_version, LATERAL json_array_elements_text(model_version.shared_with::json) AS shared (value);

INSERT INTO model_route (model, alias, digest)
SELECT name, 'production', digest FROM model_version newest
WHERE version = (SELECT MAX(version) FROM model_version WHERE name = newest.name);

INSERT INTO model_assignment (model, alias, number, digest, at, by_user, kind, change)
SELECT model, alias, 1, digest, 0, 'operator', 'register', NULL FROM model_route;

ALTER TABLE model_version DROP COLUMN shared_with;
