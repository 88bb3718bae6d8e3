/**
 * Whether a person chose the time zone. Without a choice `timezone` is that of the last browser, and
 * UTC until there was one: accounts in UTC whose zone never changed have not chosen it.
 */
export const sql = /* sql */ `
alter table users add column hasChosenTimezone integer not null default 0 check (hasChosenTimezone in (0, 1));
update users set hasChosenTimezone = 1
where timezone <> 'UTC' or exists (
  select 1 from audit_log a, json_each(a.metadata, '$.changed') c
  where a.resourceId = users.id and a.action = 'user.update' and c.value = 'timezone'
);
`;
