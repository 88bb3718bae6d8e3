import { UserPlus } from "lucide";
import type { User } from "../../../src/client/api-types.gen.ts";
import type { Page as ListPage } from "../../app/api.ts";
import { href } from "../../app/base.ts";
import { useFilters } from "../../app/filters.ts";
import { personName } from "../../app/people.ts";
import { useGet, useList } from "../../app/query.ts";
import { can } from "../../app/session.ts";
import {
  Avatar,
  Badge,
  Button,
  type Column,
  DataTable,
  EmptyState,
  openDialog,
  optionsOf,
  Page,
  plural,
  SearchInput,
  Select,
  Time,
  Toolbar,
  UserText,
} from "../../ui/index.ts";
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

const STATUS_OPTIONS = optionsOf("Any status", STATUS);

export default function PeopleList() {
  const filters = useFilters({ q: "", status: "" });
  const list = useList<User>("/users", { ...filters.values, limit: 50 });
  const pending = useGet<ListPage<User>>(can("users:approve") ? "/users/pending" : null, { limit: 100 });
  const waiting = pending.data?.data.length ?? 0;
  const invite = (
    <Button variant="primary" icon={UserPlus} onClick={() => openDialog(<InviteDialog onDone={list.reload} />)}>
      Invite
    </Button>
  );
  const { isFiltered } = filters;
  return (
    <Page
      title="People"
      subtitle={
        waiting > 0
          ? `${plural(waiting, "account waits", "accounts wait")} for approval.`
          : "Who may sign in, and with which roles."
      }
      actions={can("users:manage") ? invite : undefined}
      tabs={<PeopleTabs value="people" pending={waiting} />}
    >
      <Toolbar>
        <SearchInput {...filters.bind("q")} placeholder="Name, address or username" label="Search people" />
        <Select {...filters.bind("status")} options={STATUS_OPTIONS} label="Status" />
      </Toolbar>
      <DataTable<User>
        label="People"
        list={list}
        columns={COLUMNS}
        rowHref={({ id }) => href(`/people/${id}`)}
        empty={
          <EmptyState
            title={isFiltered ? "No account matches" : "There is no account yet"}
            text={isFiltered ? "Change the search or the status." : "Invite people by mail, or let them register."}
          />
        }
      />
    </Page>
  );
}
