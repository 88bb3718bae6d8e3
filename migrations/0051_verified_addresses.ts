/**
 * Whether the mail address of an account is known to be its owner's: confirmed by a link, entered or
 * approved by an administrator, the command line or an import. It replaces `hasChosenEmail`, which
 * did not tell a registration from an account of an administrator. The audit trail knows who made
 * an account and who approved or confirmed it; an account of which it no longer knows is unverified.
 */
export const sql = /* sql */ `
alter table users add column isEmailVerified integer not null default 0 check (isEmailVerified in (0, 1));
update users set isEmailVerified = 1
where email is not null and hasChosenEmail = 0 and status <> 'unverified' and (
  exists (select 1 from user_roles ur join roles r on r.id = ur.roleId where ur.userId = users.id and r.name = 'Admin')
  or exists (
    select 1 from audit_log a where a.resourceId = users.id and (
      a.action = 'user.approve'
      or (a.action = 'user.register' and
        (json_extract(a.actor, '$.type') in ('operator', 'cli') or (a.userId is not null and a.userId <> users.id)
          or json_extract(a.metadata, '$.by') in ('import', 'issuer', 'invitation')))
      or (a.action = 'user.update' and json_extract(a.metadata, '$.status') in ('active', 'pending')
        and json_extract(a.metadata, '$.changed[0]') = 'status' and a.userId = users.id)
    )
  )
);
alter table users drop column hasChosenEmail;
`;
