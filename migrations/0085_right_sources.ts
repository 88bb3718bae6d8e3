/**
 * Who gives a member the role, or a user a role: JSON by source (`hand`, `file`, `oidc:<name>`, `proxy:<name>`), for
 * memberships with the role that each gives. Null: by hand alone, as all of them were given before.
 */
export const sql = /* sql */ `
alter table project_members add column sources text;
alter table user_roles add column sources text;
`;
