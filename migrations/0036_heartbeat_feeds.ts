/** Matchers of the alerts whose reports count as pings of a heartbeat; null: none do. */
export const sql = /* sql */ `
alter table heartbeats add column fedBy text;
`;
