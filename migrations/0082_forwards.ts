/**
 * Where receivers and integrations of mirrors pass requests on, and the requests that wait for it. `request`: sealed,
 * the head as JSON in a line, then the body. `requestId`: of the receiver's log.
 */
export const sql = /* sql */ `
alter table receivers add column forwardUrl blob;
alter table receivers add column forwardHeaders text;
alter table integrations add column forwardUrl blob;
alter table integrations add column forwardHeaders text;
create table forwards (
  id text primary key,
  projectId text not null,
  kind text not null check (kind in ('receivers', 'integrations')),
  sourceId text not null,
  at integer not null,
  requestId text,
  bytes integer not null,
  request blob not null
) strict, without rowid;
create index forwards_source on forwards (sourceId, id);
`;
