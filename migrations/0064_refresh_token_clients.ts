/** The client that used a refresh token first, as a keyed hash, and when a session repeated one. */
export const sql = /* sql */ `
alter table refresh_tokens add column usedBy text;
alter table sessions add column repeatedAt integer;
`;
