/** Invitations to projects. Push devices belong to a login. Service tokens that were made for everything keep reaching what belongs to their user. */
export const sql = /* sql */ `
create table project_invitations (
  id text primary key, projectId text not null references projects (id), email text not null,
  role text not null check (role in ('owner', 'editor', 'viewer')), hash text not null, invitedBy text not null references users (id),
  createdAt integer not null, expiresAt integer not null, endedAt integer, acceptedBy text references users (id)
) strict, without rowid;
create unique index project_invitations_hash on project_invitations (hash);
-- One invitation that is open to an address in a project.
create unique index project_invitations_open on project_invitations (projectId, email) where endedAt is null;
create index project_invitations_email on project_invitations (email) where endedAt is null;
create index project_invitations_expires on project_invitations (expiresAt);

-- The login that a device was registered in: it ends with it.
alter table push_devices add column sessionId text;
create index push_devices_session on push_devices (sessionId) where sessionId is not null;

-- 35 scopes were all there were: such a token was not narrowed. One that was narrowed is now bound by its scopes.
update service_tokens set scopes = json_insert(json_insert(scopes, '$[#]', 'account:own'), '$[#]', 'notifications:own')
where json_array_length(scopes) = 35 and scopes not like '%"account:own"%';
`;
