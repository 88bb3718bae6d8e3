/** Who had more rights before only the role of a member counted: nothing reads it any more. */
export const sql = /* sql */ `
drop table lost_rights;
`;
