/**
 * Events that are decided in slices, with the last rule that was asked (rule order: priority descending, createdAt, ruleId); and which
 * version of a rule was found too costly.
 */
export const sql = /* sql */ `
create table event_slices (
  eventSeq integer primary key, priority integer not null, createdAt integer not null, ruleId text not null
) strict;
alter table rules add column tooCostlyVersion integer;
`;
