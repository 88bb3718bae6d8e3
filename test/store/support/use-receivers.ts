import assert from "node:assert/strict";
import type { TestPrism } from "../../helpers/prism.ts";

const PATH = "/api/v1/receivers";

/** Uses every route of receivers, and delivers to one. */
export async function useReceivers(prism: TestPrism): Promise<void> {
  const ok = async <T>(reply: Promise<{ status: number; text: string; body: T }>): Promise<T> => {
    const { status, text, body } = await reply;
    assert.ok(status < 300, `${status} ${text}`);
    return body;
  };
  const { id, url } = await ok(
    prism.post<{ id: string; url: string }>(PATH, { name: "r", preset: "generic", secret: "a secret" }),
  );
  const deliver = (body: object, key: string) =>
    ok(
      prism.post(new URL(url).pathname, body, {
        headers: { "X-Token": "a secret", "Idempotency-Key": key },
        token: null,
      }),
    );
  await deliver({ title: "t", key: "k", status: "firing" }, "1");
  await deliver({ title: "t", key: "k", status: "acknowledged" }, "2");
  await deliver({ title: "t", key: "k", status: "acknowledged" }, "2");
  await prism.post(new URL(url).pathname, {}, { token: null });
  const cursor = Buffer.from(JSON.stringify([id])).toString("base64url");
  for (const path of [PATH, `${PATH}/${id}/requests`])
    for (const query of ["", "?page=1", `?cursor=${cursor}`]) await ok(prism.get(`${path}${query}`));
  await ok(prism.get(`${PATH}/${id}`));
  const { data } = await ok(prism.get<{ data: { id: string }[] }>(`${PATH}/${id}/requests`));
  await ok(prism.post(`${PATH}/${id}/test`, { requestId: data[0]?.id }));
  await ok(prism.post(`${PATH}/${id}/requests/${data[0]?.id}/replay`, {}));
  await ok(prism.patch(`${PATH}/${id}`, { name: "s" }));
  for (const act of ["rotate", "pause", "resume"]) await ok(prism.post(`${PATH}/${id}/${act}`, {}));
  await ok(prism.delete(`${PATH}/${id}`));
}
