/** Whether the user wrote the mail address over by themselves: it is then not known to be theirs. */
export const sql = /* sql */ `
alter table users add column hasChosenEmail integer not null default 0 check (hasChosenEmail in (0, 1));
`;
