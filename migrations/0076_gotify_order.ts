/** The order of a user's applications, as clients of Gotify 3 set it, and clients that end when they are not used. */
export const sql = /* sql */ `
alter table gotify_applications add column sortKey text not null default '';
update gotify_applications set sortKey = 'c' || printf('%03d',
  (select count(*) from gotify_applications b where b.userId = gotify_applications.userId and b.id < gotify_applications.id));
alter table gotify_clients add column expiresAfterS integer not null default 0;
`;
