import type { Step } from "../story.ts";

const APP = "/apps/1000";
const EVENT = { name: "price", data: '{"a":1}', channel: "news" };
const signed = (title: string, ask: string, body?: Step["body"]): Step => ({
  ...{ title, ask, isSigned: true, as: null },
  ...(body === undefined ? {} : { body }),
});

export const PUSHER_REST: readonly Step[] = [
  signed("an event", `POST ${APP}/events`, EVENT),
  signed("to several channels", `POST ${APP}/events`, { name: "price", data: "{}", channels: ["news", "private-a"] }),
  signed("with information", `POST ${APP}/events`, { ...EVENT, info: "subscription_count" }),
  signed("without a name", `POST ${APP}/events`, { data: "{}", channel: "news" }),
  signed("a bad channel", `POST ${APP}/events`, { ...EVENT, channel: "a b" }),
  signed("several events", `POST ${APP}/batch_events`, { batch: [EVENT, { ...EVENT, channel: "other" }] }),
  signed("an empty batch", `POST ${APP}/batch_events`, { batch: [] }),
  signed("channels", `GET ${APP}/channels`),
  signed("channels by prefix", `GET ${APP}/channels?filter_by_prefix=presence-&info=user_count`),
  signed("bad information", `GET ${APP}/channels?info=user_count`),
  signed("a channel", `GET ${APP}/channels/news?info=subscription_count`),
  signed("a presence channel", `GET ${APP}/channels/presence-lobby?info=user_count,subscription_count`),
  signed("users", `GET ${APP}/channels/presence-lobby/users`),
  signed("users of a public channel", `GET ${APP}/channels/news/users`),
  signed("end connections", `POST ${APP}/users/1/terminate_connections`, {}),
  signed("another app", "POST /apps/1/events", EVENT),
  { title: "not signed", ask: `POST ${APP}/events`, body: EVENT },
  {
    title: "wrongly signed",
    ask: `GET ${APP}/channels?auth_key=surface-key&auth_timestamp=1&auth_version=1.0&auth_signature=0`,
  },
  {
    title: "a user's channel",
    ask: "POST /pusher/auth",
    body: { socket_id: "1.2", channel_name: "private-user-{dev}" },
  },
  {
    title: "a project's channel",
    ask: "POST /pusher/auth",
    form: { socket_id: "1.2", channel_name: "private-project-{shop}" },
  },
  { title: "a presence channel", ask: "POST /pusher/auth", body: { socket_id: "1.2", channel_name: "presence-lobby" } },
  {
    title: "of another",
    ask: "POST /pusher/auth",
    body: { socket_id: "1.2", channel_name: "private-user-{dev}" },
    as: "Viewer",
  },
  { title: "sign in", ask: "POST /pusher/user-auth", body: { socket_id: "1.2" } },
];
