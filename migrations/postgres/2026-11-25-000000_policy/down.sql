DROP TABLE emergency;

DROP TABLE access_token;

DROP TABLE stop;

DROP TABLE policy_shadow;

DROP TABLE policy_simulation;

DROP TABLE policy_step;

DROP TABLE policy_change;

DROP INDEX audit_event_shadow;

ALTER TABLE audit_event DROP COLUMN shadow;

ALTER TABLE policy_activation DROP COLUMN change;

ALTER TABLE api_key DROP COLUMN holder;

ALTER TABLE model_version DROP COLUMN instructions;

ALTER TABLE model_version DROP COLUMN conformity;

ALTER TABLE tenant DROP COLUMN legal;
