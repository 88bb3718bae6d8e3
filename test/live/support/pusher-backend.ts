import type { TestContext } from "node:test";
import Pusher from "pusher";
import type { Options } from "pusher-js";
import type { TestPrism } from "../../helpers/prism.ts";
import { PusherClient } from "./pusher-client.ts";

/** A master key of encrypted channels, in base64. */
export const MASTER_KEY = Buffer.alloc(32, 7).toString("base64");

/**
 * Pusher's server library as another backend uses it: it has the app's secret, and users of its
 * own.
 */
export function backendOf(prism: TestPrism): Pusher {
  const { appId, key, secret } = prism.parts.offers.pusher;
  const address = { host: "127.0.0.1", port: String(prism.app.port), useTLS: false };
  return new Pusher({ appId, key, secret, ...address, encryptionMasterKeyBase64: MASTER_KEY });
}

/** Options of a `pusher-js` that gets its signatures from the backend. */
export function signedByBackend(
  prism: TestPrism,
  user: { readonly id: string; readonly user_info?: object; readonly watchlist?: string[] },
): Partial<Options> {
  const backend = backendOf(prism);
  return {
    channelAuthorization: {
      transport: "ajax",
      endpoint: "unused",
      customHandler: ({ socketId, channelName }, done) => done(null, backend.authorizeChannel(socketId, channelName)),
    },
    userAuthentication: {
      transport: "ajax",
      endpoint: "unused",
      customHandler: ({ socketId }, done) => done(null, backend.authenticateUser(socketId, user)),
    },
  };
}

/** A client that the backend signs in as its user. */
export async function signedIn(
  t: TestContext,
  prism: TestPrism,
  user: { readonly id: string; readonly user_info?: object; readonly watchlist?: string[] },
): Promise<PusherClient> {
  const client = await PusherClient.connect(t, prism, { options: signedByBackend(prism, user) });
  client.pusher.user.bind_global((event: string, data: unknown) =>
    client.heard.push({ channel: "#user", event, data }),
  );
  for (const name of ["online", "offline"])
    client.pusher.user.watchlist.bind(name, (data: unknown) =>
      client.heard.push({ channel: "#watchlist", event: name, data }),
    );
  client.pusher.signin();
  await client.pusher.user.signinDonePromise;
  return client;
}
