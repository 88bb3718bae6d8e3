/** Who made the calendar link of an on-call schedule; null for earlier links. */
export const sql = /* sql */ `
alter table oncall_schedules add column tokenBy text;
`;
