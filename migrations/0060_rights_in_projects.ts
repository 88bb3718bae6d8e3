/**
 * In a project only the role of a member counts. A server that has run keeps its default project open
 * (`projects.defaultOpen`). `lost_rights` has what the server roles of members gave them in other
 * projects beyond the role there, until the role is set again: `prism doctor` and `prism projects raise`
 * show it. `realtime:publish` stays with editors and owners who have the permission.
 */
const GLOBAL = `'events:read', 'events:write', 'events:delete', 'rules:read', 'rules:write', 'realtime:publish',
  'incidents:act', 'silences:write', 'silences:broad', 'policies:write', 'oncall:write', 'heartbeats:write',
  'receivers:write', 'channels:write'`;
const OF_VIEWERS = `'events:read'`;
const OF_EDITORS = `${OF_VIEWERS}, 'events:write', 'rules:read', 'incidents:act', 'silences:write',
  'heartbeats:write', 'receivers:write', 'channels:write', 'realtime:publish'`;

export const sql = /* sql */ `
insert into settings (key, value, updatedAt)
  select 'projects.defaultOpen', 1, max(createdAt) from projects having count(*) > 0;

create table lost_rights (
  projectId text not null, userId text not null, rights text not null check (json_valid(rights)),
  primary key (projectId, userId),
  foreign key (projectId, userId) references project_members (projectId, userId) on delete cascade
) strict, without rowid;

insert into lost_rights (projectId, userId, rights)
select projectId, userId, json_group_array(permission) from (
  select distinct m.projectId, m.userId, p.value as permission
  from project_members m
  join projects on projects.id = m.projectId and projects.deletedAt is null and projects.slug <> 'default'
  join users on users.id = m.userId and users.deletedAt is null
  join user_roles ur on ur.userId = m.userId
  join roles on roles.id = ur.roleId
  join json_each(roles.permissions) p on p.value in (${GLOBAL})
  where m.role <> 'owner'
    and not (m.role = 'viewer' and p.value in (${OF_VIEWERS}))
    and not (m.role = 'editor' and p.value in (${OF_EDITORS}))
    and not exists (
      select 1 from user_roles u2 join roles r2 on r2.id = u2.roleId join json_each(r2.permissions) p2
      where u2.userId = m.userId and p2.value = 'projects:all')
  order by permission
) group by projectId, userId;
`;
