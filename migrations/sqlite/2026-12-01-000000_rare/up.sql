-- Nearly all rows are intents and outcomes of calls that were answered. What is searched for among them is
-- found by time, tenant or call; the indexes by kind, status and key hold the others only, so that a call
-- costs half as many entries. Rows of the same moment are sorted when they are read.
DROP INDEX audit_event_by_kind;
DROP INDEX audit_event_by_tenant;
DROP INDEX audit_event_by_status;
DROP INDEX audit_event_by_code;
DROP INDEX audit_event_by_region;
DROP INDEX audit_event_by_credential;
DROP INDEX audit_event_by_tenant_status;
DROP INDEX audit_event_by_tenant_code;
DROP INDEX audit_event_by_tenant_kind;

CREATE INDEX audit_event_by_tenant ON audit_event (tenant, at);
CREATE INDEX audit_event_by_region ON audit_event (region, at) WHERE region IS NOT NULL;
CREATE INDEX audit_event_by_code ON audit_event (code, at) WHERE code IS NOT NULL;
CREATE INDEX audit_event_by_tenant_code ON audit_event (tenant, code, at) WHERE code IS NOT NULL;
-- A search says these conditions in the same words, else they are not used.
CREATE INDEX audit_event_by_kind ON audit_event (kind, at) WHERE kind NOT IN ('intent', 'outcome');
CREATE INDEX audit_event_by_tenant_kind ON audit_event (tenant, kind, at)
    WHERE kind NOT IN ('intent', 'outcome');
CREATE INDEX audit_event_by_status ON audit_event (status, at) WHERE status <> 'completed';
CREATE INDEX audit_event_by_tenant_status ON audit_event (tenant, status, at)
    WHERE status <> 'completed';
-- When a key was last used: its intents and refusals tell.
CREATE INDEX audit_event_by_credential ON audit_event (credential, at) WHERE kind <> 'outcome';
