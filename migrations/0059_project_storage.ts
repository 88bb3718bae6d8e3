/** What each project stores: bytes of the events that are counted, see `storage.countedFrom` of the settings. */
export const sql = /* sql */ `
create table project_storage (projectId text primary key, bytes integer not null) strict, without rowid;
`;
