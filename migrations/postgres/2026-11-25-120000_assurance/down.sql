DROP TABLE policy_proof;

DROP TABLE transfer_total;

DROP TABLE transfer;

ALTER TABLE policy_activation DROP COLUMN statement;
