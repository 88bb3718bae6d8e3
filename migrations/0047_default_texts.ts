/**
 * A rule without templates has none, and its notifications say what the event says. Before, the name
 * of the rule and `{{event.type}}` were stored in their place: such rows, and their versions, get
 * null. A title counts as that name if a version of the rule had it.
 */
const NAMED = (id: string, title: string) => /* sql */ `exists (
    select 1 from rule_versions v
    where v.ruleId = ${id} and replace(v.definition ->> '$.name', '{{', '{ {') = ${title})`;

export const sql = /* sql */ `
update rule_versions set definition = json_set(definition, '$.titleTemplate', null)
  where definition ->> '$.messageTemplate' = '{{event.type}}'
    and ${NAMED("rule_versions.ruleId", "rule_versions.definition ->> '$.titleTemplate'")};
update rule_versions set definition = json_set(definition, '$.messageTemplate', null)
  where definition ->> '$.messageTemplate' = '{{event.type}}';

alter table rules add column title text;
alter table rules add column message text;
update rules set
  message = nullif(messageTemplate, '{{event.type}}'),
  title = case when messageTemplate = '{{event.type}}'
    and (titleTemplate = replace(name, '{{', '{ {') or ${NAMED("rules.id", "rules.titleTemplate")})
    then null else titleTemplate end;
alter table rules drop column titleTemplate;
alter table rules drop column messageTemplate;
alter table rules rename column title to titleTemplate;
alter table rules rename column message to messageTemplate;
`;
