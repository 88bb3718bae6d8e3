/**
 * Gotify: applications, which send messages to their owner, and clients, which read them. The id of
 * a message is the offset of its recipient's row; application 1 is Prism itself and has no row.
 */
export const sql = /* sql */ `
create table gotify_applications (
  id integer primary key autoincrement, userId text not null, tokenHash text not null, sealedToken blob not null,
  name text not null, description text not null default '', defaultPriority integer not null default 0,
  image text, createdAt integer not null, lastUsedAt integer
) strict;
create unique index gotify_applications_token on gotify_applications (tokenHash);
create index gotify_applications_user on gotify_applications (userId);
insert into sqlite_sequence (name, seq) values ('gotify_applications', 1);

create table gotify_clients (
  id integer primary key autoincrement, userId text not null, tokenHash text not null, name text not null,
  createdAt integer not null, lastUsedAt integer
) strict;
create unique index gotify_clients_token on gotify_clients (tokenHash);
create index gotify_clients_user on gotify_clients (userId);

create table gotify_messages (
  id integer primary key, applicationId integer not null, userId text not null, title text, message text,
  priority integer not null, extras text check (extras is null or json_valid(extras))
) strict;
create index gotify_messages_application on gotify_messages (applicationId);
create trigger gotify_messages_removed after delete on notification_recipients begin
  delete from gotify_messages where id = old.seq;
end;

create table gotify_images (
  name text primary key, applicationId integer not null, type text not null, bytes blob not null
) strict, without rowid;
create index gotify_images_application on gotify_images (applicationId);
`;
