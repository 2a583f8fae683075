ALTER TABLE model_version ADD COLUMN shared_with TEXT NOT NULL DEFAULT '[]';
ALTER TABLE model_version DROP COLUMN created_by;
ALTER TABLE model_version DROP COLUMN created_at;
ALTER TABLE model_version DROP COLUMN card;
ALTER TABLE model_version DROP COLUMN size;
ALTER TABLE model_version DROP COLUMN state;

DROP TABLE model_alert;

DROP TABLE model_threshold;

DROP TABLE model_observation;

DROP TABLE pod_model;

DROP TABLE model_placement;

DROP TABLE model_change;

DROP TABLE model_assignment;

DROP TABLE model_route;

DROP TABLE model_share;

DROP TABLE model;
