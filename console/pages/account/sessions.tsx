import type { Session } from "../../../src/client/api-types.gen.ts";
import { api } from "../../app/api.ts";
import { Badge, Button, confirm, plural, Time } from "../../ui/index.ts";
import { deviceName } from "./device-name.ts";

interface SessionsProps {
  readonly sessions: readonly Session[];
  readonly reload: () => void;
}

export function Sessions({ sessions, reload }: SessionsProps) {
  const others = sessions.filter(({ current }) => !current);
  const end = async (ended: readonly Session[]) => {
    const [only] = ended;
    const title =
      ended.length === 1 && only
        ? `End the session on ${deviceName(only.userAgent)}?`
        : `End ${plural(ended.length, "other session")}?`;
    const text = "Its next request is refused, and its push notifications stop.";
    if (!(await confirm({ title, text, action: "End", danger: true }))) return;
    for (const { id } of ended) await api.del(`/auth/sessions/${id}`);
    reload();
  };
  return (
    <>
      <ul class="account-rows">
        {sessions.map((session) => (
          <li key={session.id}>
            <div>
              <span class="inline">
                <span dir="auto" title={session.userAgent}>
                  {deviceName(session.userAgent)}
                </span>
                {session.current && <Badge tone="ok">this one</Badge>}
              </span>
              <div class="muted small">
                {session.ip}
                {session.via !== null && `, by ${session.via}`}, last used <Time at={session.lastUsedAt} />, signed in{" "}
                <Time at={session.createdAt} />
                {session.repeatedAt !== null && (
                  <>
                    , renewed twice with one token <Time at={session.repeatedAt} />
                  </>
                )}
              </div>
            </div>
            {!session.current && (
              <Button small onClick={() => end([session])}>
                End
              </Button>
            )}
          </li>
        ))}
      </ul>
      {others.length > 0 && (
        <div class="account-foot">
          <Button variant="danger" small onClick={() => end(others)}>
            Sign out everywhere else
          </Button>
        </div>
      )}
    </>
  );
}
