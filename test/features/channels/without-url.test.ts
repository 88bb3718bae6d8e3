import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../../helpers/eventually.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { startPrism } from "../../helpers/prism.ts";
import { scalarOf } from "../../helpers/tables.ts";
import { ntfyServer } from "./presets/ntfy.ts";
import { startStandIn } from "./support/stand-in.ts";

interface Sent {
  readonly title: string;
  readonly message: string;
  readonly priority: number;
  readonly tags: readonly string[];
  readonly actions: readonly { readonly url: string }[];
}

const SETTINGS = { "webhooks.allowPrivateCidrs": "127.0.0.0/8", "rateLimit.enabled": "false" };

for (const publicUrl of [undefined, "http://localhost:4321"])
  test(`a page ${publicUrl ? "with" : "without"} publicUrl asks for what its reader can do; its end is not urgent`, async (t) => {
    const clock = new FakeClock();
    const prism = await startPrism(t, {
      clock,
      settings: { ...SETTINGS, ...(publicUrl && { publicUrl }) },
    });
    const phone = await startStandIn(t, ntfyServer());
    const fields = phone.service.fields(phone.url);
    const made = await prism.post<{ id: string }>("/api/v1/channels", { preset: "ntfy", name: "Phone", fields });
    assert.equal(made.status, 201, made.text);
    const tried = await prism.post<{ class: string; hint: string | null }>(`/api/v1/channels/${made.body.id}/test`, {});
    assert.equal(tried.body.class, "ok", tried.text);
    if (publicUrl) assert.equal(tried.body.hint, null);
    else assert.match(tried.body.hint ?? "", /^publicUrl is not set: .* no link that acknowledges$/);

    const labels = { alertname: "Website", severity: "critical" };
    const report = (status: "firing" | "resolved") =>
      prism.post("/api/v1/alerts", { alerts: [{ key: "web", status, labels }] });
    const sent = async (count: number): Promise<Sent> => {
      await eventually(`${count} messages`, async () => {
        clock.advance(1000);
        await prism.parts.offers.pages.check();
        return phone.requests.length >= count;
      });
      return phone.requests[count - 1]?.json as Sent;
    };
    assert.equal((await report("firing")).status, 200);
    const page = await sent(2);
    assert.equal(page.title, "Critical: Website");
    assert.deepEqual([page.priority, page.tags], [5, ["rotating_light"]]);
    assert.equal(page.actions.length, publicUrl ? 1 : 0);
    const id = scalarOf<string>(prism, "select id from incidents");
    const explained = await prism.get(`/api/v1/explain/incident/${id}`);
    assert.match(explained.text, / by ntfy: /);
    const end = publicUrl ? "Acknowledge this notification" : "Acknowledge it in the console";
    assert.equal(page.message.split("\n").at(-1), `Incident 1. ${end} if you take care of it.`);
    assert.equal((await report("resolved")).status, 200);
    const over = await sent(3);
    assert.deepEqual([over.title, over.priority, over.tags], ["Resolved: Website", 3, ["white_check_mark"]]);
  });
