/** The limit of stored bytes that an operator gives one project; null: that of the settings. */
export const sql = /* sql */ `
alter table projects add column storageBytes integer check (storageBytes > 0);
`;
