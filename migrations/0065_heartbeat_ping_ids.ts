/**
 * Ids in ping URLs are found by a keyed hash and shown from a sealed copy. Rows without a copy still have
 * the plain id in the hash's column: SQL has no key, so the next start converts them, by the partial indexes.
 */
export const sql = /* sql */ `
alter table heartbeats rename column pingUuid to pingHash;
alter table heartbeats add column sealedPing blob;
alter table heartbeats add column uniqueKey text;
create index heartbeats_plain on heartbeats (id) where sealedPing is null;
create index heartbeats_unique_key on heartbeats (uniqueKey);
alter table heartbeat_keys rename column pingKey to pingKeyHash;
alter table heartbeat_keys add column sealedPingKey blob;
create index heartbeat_keys_plain on heartbeat_keys (projectId) where pingKeyHash is not null and sealedPingKey is null;
`;
