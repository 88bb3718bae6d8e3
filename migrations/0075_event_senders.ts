/** Who sent an event with an id of its own choice: another sender with this id is refused, not taken for a repetition. */
export const sql = /* sql */ `
create table event_senders (eventSeq integer primary key, sender text not null) strict;
`;
