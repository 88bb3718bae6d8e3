/** The outcome `limited` of a decision never occurred: a delivery that waits for a rate limit says so itself. */
export const sql = /* sql */ `
alter table rule_stats drop column limited;
`;
