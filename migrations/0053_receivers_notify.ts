/**
 * Receivers that notify their project's members of events that no rule takes, and the events that
 * they may notify of. Existing receivers keep their behaviour.
 */
export const sql = /* sql */ `
alter table receivers add column notifies integer not null default 0 check (notifies in (0, 1));
create table receiver_events (eventSeq integer primary key, receiverId text not null) strict;
`;
