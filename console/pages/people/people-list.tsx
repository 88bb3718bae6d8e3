import { UserPlus } from "lucide";
import type { User } from "../../../src/client/api-types.gen.ts";
import type { Page } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { searchFilter, selectFilter, useListOf } from "../../app/list-of.tsx";
import { ListPage } from "../../app/list-page.tsx";
import { personName } from "../../app/people.ts";
import { useGet } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import { Avatar, Badge, Button, type Column, openDialog, optionsOf, plural, Time, UserText } from "../../ui/index.ts";
import { InviteDialog } from "./invite-dialog.tsx";
import { PeopleTabs } from "./people-tabs.tsx";
import { loginOf, STATUS } from "./person-types.ts";

const COLUMNS: readonly Column<User>[] = [
  {
    label: "Name",
    cell: (person) => (
      <span class="inline">
        <Avatar name={personName(person)} />
        <UserText>{personName(person)}</UserText>
      </span>
    ),
    card: "title",
    width: "wide",
  },
  { label: "Signs in as", cell: (person) => <UserText>{loginOf(person)}</UserText>, card: "text" },
  { label: "Roles", cell: (person) => person.roles.join(", ") || "none", priority: 2 },
  {
    label: "Status",
    cell: ({ status }) => <Badge {...STATUS[status]} />,
    card: "aside",
  },
  {
    label: "Last sign-in",
    cell: ({ lastLoginAt }) => <Time at={lastLoginAt} empty="never" />,
    priority: 3,
    align: "end",
  },
];

const FILTERS = {
  q: searchFilter("Search people", "Name, address or username"),
  status: selectFilter("Status", optionsOf("Any status", STATUS)),
};
const EMPTY = { title: "There is no account yet", text: "Invite people by mail, or let them register." };

export default function PeopleList() {
  const list = useListOf<User>("/users", FILTERS);
  const pending = useGet<Page<User>>(can("users:approve") ? "/users/pending" : null, { limit: 100 });
  const waiting = pending.data?.data.length ?? 0;
  const invite = (
    <Button variant="primary" icon={UserPlus} onClick={() => openDialog(<InviteDialog onDone={list.reload} />)}>
      Invite
    </Button>
  );
  const news = waiting > 0 && `${plural(waiting, "account waits", "accounts wait")} for approval.`;
  return (
    <ListPage<User>
      of={list}
      title="People"
      subtitle={news || "Who may sign in, and with which roles."}
      noun="account"
      managedAs="people"
      columns={COLUMNS}
      actions={can("users:manage") ? invite : undefined}
      rowHref={({ id }) => href(`/people/${id}`)}
      tabs={<PeopleTabs value="people" pending={waiting} />}
      empty={EMPTY}
    />
  );
}
