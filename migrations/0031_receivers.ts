/**
 * Receivers: URLs at which other programs deliver requests, the log of these requests, and the ids
 * that refuse replays.
 */
export const sql = /* sql */ `
update roles set version = version + 1, permissions = (select json_group_array(value) from (
  select value from json_each(roles.permissions) union all
  select value from json_each('["receivers:write","channels:write"]')
)) where builtin = 1 and name in ('RuleManager', 'Operator');
`;
