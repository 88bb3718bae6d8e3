/** New pages have subscriptions only where the operator allows them; pages with confirmed subscribers keep them. */
export const sql = /* sql */ `
alter table status_pages add column keepsSubscriptions integer not null default 0 check (keepsSubscriptions in (0, 1));
update status_pages set keepsSubscriptions = 1 where document ->> '$.subscriptions' = 1
  and exists (select 1 from status_subscribers s where s.projectId = status_pages.projectId and s.confirmedAt is not null);
`;
