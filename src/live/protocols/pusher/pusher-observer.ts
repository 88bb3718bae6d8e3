/** What happens on the embedded Pusher server, in the form in which Pusher tells it to webhooks. */
export type PusherHappening =
  | { readonly name: "channel_occupied" | "channel_vacated" | "cache_miss"; readonly channel: string }
  | { readonly name: "member_added" | "member_removed"; readonly channel: string; readonly user_id: string | number }
  | { readonly name: "subscription_count"; readonly channel: string; readonly subscription_count: number }
  | {
      readonly name: "client_event";
      readonly channel: string;
      readonly event: string;
      readonly data: string;
      readonly socket_id: string;
      readonly user_id?: string | number;
    };

/** Called for every happening; it must return at once and not throw. */
export type PusherObserver = (happening: PusherHappening) => void;
