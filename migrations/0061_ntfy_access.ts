/**
 * Rights on topics of ntfy in a project, by user and pattern of names. `*` as the user is everyone, also
 * callers without credentials. Without a row the rights in the project decide.
 */
export const sql = /* sql */ `
create table ntfy_access (
  projectId text not null, userId text not null, pattern text not null,
  permission text not null check (permission in ('none', 'read', 'write', 'read-write')),
  createdBy text, createdAt integer not null, primary key (projectId, userId, pattern)
) strict, without rowid;
create index ntfy_access_user on ntfy_access (userId);
`;
