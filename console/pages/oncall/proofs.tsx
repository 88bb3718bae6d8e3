import type { OnCallUser } from "../../../src/client/api-types.gen.ts";
import { useGet } from "../../app/query.ts";
import { Badge, Card, Loaded, now, Skeleton, Time, UserText } from "../../ui/index.ts";
import { nameOf } from "./oncall-types.ts";

interface Proof {
  readonly user: OnCallUser;
  readonly onCallFrom: string;
  readonly schedule: string;
  readonly isProven: boolean;
  readonly takesPart: boolean;
  readonly ways: readonly { readonly name: string; readonly text: string }[];
}

/** Who is on call within 7 days, and whether drills have shown that pages reach them. */
export function Proofs() {
  const query = useGet<{ data: readonly Proof[] }>("/oncall/proofs");
  if (query.data?.data.length === 0) return null;
  return (
    <Loaded query={query} skeleton={<Skeleton kind="rows" />}>
      {({ data }) => (
        <Card
          title="Do pages reach them?"
          sub="Who is on call within 7 days. A drill is a test page that one tap confirms."
        >
          <ul class="stack" aria-label="Proofs">
            {data.map((proof) => (
              <ProofItem key={proof.user.id} proof={proof} />
            ))}
          </ul>
        </Card>
      )}
    </Loaded>
  );
}

function ProofItem({ proof: { user, onCallFrom, schedule, isProven, takesPart, ways } }: { readonly proof: Proof }) {
  const isNow = Date.parse(onCallFrom) <= now.value;
  return (
    <li class="stack s2">
      <span class="inline">
        <span class="strong">
          <UserText lines={1}>{nameOf(user)}</UserText>
        </span>
        <Badge tone={isProven ? "ok" : "bad"}>{isProven ? "proven" : "no proof"}</Badge>
        {!takesPart && <Badge tone="bad">takes no part in drills</Badge>}
        <span class="muted small">
          <span dir="auto">{schedule}</span>, {isNow ? "now" : <Time at={onCallFrom} />}
        </span>
      </span>
      <span class="small">
        {ways.length === 0 ? "No way outside of the app" : ways.map(({ name, text }) => `${name} ${text}`).join("; ")}
      </span>
    </li>
  );
}
