/**
 * Pages by ways that ring or cost: how often the answer was lost after the message was sent, the running attempt
 * included, and when the last of those began. They are repeated a few times only, also after a kill.
 */
export const sql = /* sql */ `
alter table pages add column rings integer not null default 0;
alter table pages add column lostAnswers integer not null default 0;
alter table pages add column lostAt integer;
`;
