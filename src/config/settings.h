/* config/settings.h - the table of every setting there is
 *
 * Everything about a setting is derived from its row: the field in struct config, the
 * flag (--idle-timeout), the environment variable (KTUN_IDLE_TIMEOUT), the key in the
 * configuration file (idle-timeout), its check, its default and its line of help.
 * docs/kube-tunnel.conf.5 describes the settings in detail; tests/system/test_cli.py
 * compares.
 *
 *     X(TYPE, field, name, default, min, max, GROUP, help)
 *
 * TYPE decides how text becomes a value (config/type.c) and what min and max mean:
 * milliseconds, bytes, a number, or how many elements a list may have.  A default is text
 * like any other value; "" means not set (NULL, 0 or an empty list).
 */
#pragma once

#define MS_SECOND 1000ull
#define MS_MINUTE (60 * MS_SECOND)
#define MS_HOUR (60 * MS_MINUTE)
#define MS_DAY (24 * MS_HOUR)
#define KIB 1024ull
#define MIB (1024 * KIB)

/* clang-format off */
#define SETTING_GROUPS(X) \
    X(LISTENERS, "Listeners and clients") \
    X(CLUSTER,  "The cluster") \
    X(DNS,      "DNS") \
    X(REQUESTS, "Requests") \
    X(TUNNELS,  "Tunnels to pods") \
    X(ACCESS,   "Access") \
    X(LOGS,     "Logs")

#define SETTINGS(X) \
    X(LISTEN_LIST, listen, "listen", "", 0, 64, LISTENERS, \
      "Address and port to listen on, e.g. 127.0.0.1:80; repeatable") \
    X(PORT, port, "port", "", 1, 65535, LISTENERS, \
      "Port to listen on, on the default addresses") \
    X(AUTO_COUNT, tls_port, "tls-port", "auto", 0, 65535, LISTENERS, \
      "One more port, for https:// URLs; auto: 443 or 8443; 0: none") \
    X(AUTO_BOOL, tls_termination, "tls-termination", "auto", 0, 0, LISTENERS, \
      "https:// to plain services, with a local CA; auto: not in a pod") \
    X(EXPOSE_LIST, expose, "expose", "", 0, 256, LISTENERS, \
      "Local port for one service: NAME:PORT[=LOCAL]; repeatable") \
    X(DURATION, address_idle_ms, "address-idle", "60s", 0, 30 * MS_DAY, LISTENERS, \
      "A service's own address listens this long after its last use; 0: on") \
    X(COUNT, max_address_listeners, "max-address-listeners", "4000", 1, 100000, LISTENERS, \
      "Listeners at addresses of services at the same time") \
    X(BOOL, address_per_port, "address-per-port", "false", 0, 0, LISTENERS, \
      "One listener per port for all services; takes 127.0.0.1:PORT too") \
    X(INSTANCE, name, "name", "default", 0, 0, LISTENERS, \
      "Name of this kube-tunnel: its control socket is NAME.sock") \
    X(BOOL, control, "control", "true", 0, 0, LISTENERS, \
      "Open the control socket, for status, explain, tail and the like") \
    X(COUNT, max_connections, "max-connections", "10000", 1, 1000000, LISTENERS, \
      "Clients connected at the same time") \
    X(COUNT, max_head_fields, "max-head-fields", "256", 16, 4096, LISTENERS, \
      "Most fields in a request or response head") \
    X(SIZE, max_head_size, "max-head-size", "64KiB", KIB, 256 * KIB, LISTENERS, \
      "Largest request or response head") \
    X(AUTO_SIZE, buffer_memory, "buffer-memory", "auto", MIB, 1024 * 1024 * MIB, LISTENERS, \
      "Memory for all buffered bytes; auto: half of the cgroup's, or 256MiB") \
    X(DURATION, head_timeout_ms, "head-timeout", "15s", 10, MS_DAY, LISTENERS, \
      "A client has this long to send a request's head") \
    X(AUTO_DURATION, body_timeout_ms, "body-timeout", "auto", 0, MS_DAY, LISTENERS, \
      "A client may pause this long in a body; auto: 5m, in a pod 60s") \
    X(AUTO_DURATION, send_timeout_ms, "send-timeout", "auto", 0, MS_DAY, LISTENERS, \
      "A response may stay unread this long; auto: any, in a pod 60s") \
    X(DURATION, client_idle_timeout_ms, "client-idle-timeout", "120s", 10, MS_DAY, \
      LISTENERS, \
      "Close a client's connection after this long between requests") \
    X(DURATION, drain_timeout_ms, "drain-timeout", "8s", 0, MS_HOUR, LISTENERS, \
      "On shutdown, running requests have this long to finish") \
    \
    X(FILE, kubeconfig, "kubeconfig", "", 0, 0, CLUSTER, \
      "Kubeconfig file instead of $KUBECONFIG or ~/.kube/config") \
    X(CONTEXT_LIST, contexts, "context", "", 0, 1024, CLUSTER, \
      "Contexts of the kubeconfig instead of its current one; repeatable") \
    X(LABEL, namespace, "namespace", "", 0, 0, CLUSTER, \
      "Namespace to serve where rights end there; list shows only this one") \
    X(LABEL_LIST, namespaces, "namespaces", "", 0, 64, CLUSTER, \
      "Watch in these namespaces only, not in the whole cluster; repeatable") \
    X(DISCOVERY, discovery, "discovery", "auto", 0, 0, CLUSTER, \
      "Watch all services, or lazily the requested ones; auto: by number") \
    X(COUNT, lazy_above, "lazy-above", "20000", 1, 10000000, CLUSTER, \
      "More services or endpointslices make --discovery auto lazy") \
    X(DOMAIN, cluster_domain, "cluster-domain", "cluster.local", 0, 0, CLUSTER, \
      "Domain that the cluster's names end in") \
    X(ALIAS_LIST, alias, "alias", "", 0, 256, CLUSTER, \
      "A name of your own for a service: NAME=SVC.NS[:PORT]; repeatable") \
    X(COUNT, target_port, "target-port", "0", 0, 65535, CLUSTER, \
      "HTTP always goes to this port of the pod; 0: the service's target port") \
    X(COUNT, max_objects, "max-objects", "100000", 100, 10000000, CLUSTER, \
      "Objects that one list or watch of the API server may bring") \
    X(SIZE, max_objects_size, "max-objects-size", "256MiB", MIB, 64 * 1024 * MIB, CLUSTER, \
      "The same in bytes of JSON") \
    X(DURATION, plugin_timeout_ms, "plugin-timeout", "60s", 100, MS_HOUR, CLUSTER, \
      "An exec plugin may run this long; at the terminal at least 5m") \
    X(COUNT, lookup_rate, "lookup-rate", "50", 1, 100000, CLUSTER, \
      "Look-ups at the API server a second, on average; more wait") \
    X(COUNT, lookup_burst, "lookup-burst", "100", 1, 100000, CLUSTER, \
      "Look-ups at the API server that may be made at once") \
    \
    X(LISTEN_LIST, dns_listen, "dns-listen", "", 0, 16, DNS, \
      "Answer DNS questions at this address, e.g. 127.0.0.1:5353; repeatable") \
    X(DNS_SERVER, dns_forward, "dns-forward", "", 0, 0, DNS, \
      "DNS server for names of other zones; else these are refused") \
    X(COUNT, dns_rate, "dns-rate", "20", 1, 1000000, DNS, \
      "DNS answers a second to each address outside this machine") \
    \
    X(DURATION, response_timeout_ms, "response-timeout", "0", 0, 7 * MS_DAY, REQUESTS, \
      "A pod has this long to begin its response; 0: no limit") \
    X(DURATION, wait_ms, "wait", "10s", 0, MS_HOUR, REQUESTS, \
      "A request waits this long for a pod that is about to be ready") \
    X(DURATION, dial_timeout_ms, "dial-timeout", "10s", 10, MS_HOUR, REQUESTS, \
      "Opening a tunnel may take this long") \
    X(SIZE, replay_buffer, "replay-buffer", "64KiB", 0, 16 * MIB, REQUESTS, \
      "Keep this much of a request, to retry it where that is safe") \
    X(COUNT, http2_streams, "http2-streams", "100", 1, 10000, REQUESTS, \
      "Requests at once on an HTTP/2 connection") \
    X(SIZE, http2_window, "http2-window", "256KiB", 64 * KIB - 1, 16 * MIB, REQUESTS, \
      "Bytes of a body on HTTP/2 that may wait for their receiver") \
    X(BOOL, forwarded, "forwarded", "false", 0, 0, REQUESTS, \
      "Add a Forwarded header to requests") \
    X(BOOL, half_close, "half-close", "false", 0, 0, REQUESTS, \
      "Pass a client's end of input on to the pod at once") \
    X(FILE_LIST, tls_ca, "tls-ca", "", 0, 64, REQUESTS, \
      "More authorities (PEM) for services that speak TLS; repeatable") \
    X(TLS_LIST, tls, "tls", "", 0, 1024, REQUESTS, \
      "Verify a service with verify=none, ca=, pin=, server-name=; repeatable") \
    \
    X(UPSTREAM, upstream, "upstream", "auto", 0, 0, TUNNELS, \
      "Tunnels, or direct: pods' own addresses; auto: in a pod either") \
    X(TRANSPORT, transport, "transport", "auto", 0, 0, TUNNELS, \
      "Transport of tunnels: an upgrade to SPDY, or a WebSocket") \
    X(COUNT, tunnels_per_pod, "tunnels-per-pod", "8", 1, 256, TUNNELS, \
      "Own tunnels per pod for raw connections and large uploads") \
    X(AUTO_COUNT, http_tunnels_per_pod, "http-tunnels-per-pod", "auto", 0, 256, TUNNELS, \
      "Own tunnels per pod for other requests; auto: small ones share") \
    X(SIZE, small_request, "small-request", "16KiB", 0, 64 * KIB, TUNNELS, \
      "Requests up to this size use open tunnels and do not wait; 0: none") \
    X(COUNT, prewarmed_tunnels, "prewarmed-tunnels", "1", 0, 16, TUNNELS, \
      "Prewarmed tunnels to a pod in use, and one to a second pod") \
    X(COUNT, tunnel_max_pairs, "tunnel-max-pairs", "1000", 1, 100000000, TUNNELS, \
      "Replace a tunnel after this many connections") \
    X(DURATION, idle_timeout_ms, "idle-timeout", "10m", 10, 30 * MS_DAY, TUNNELS, \
      "Close a tunnel that was not used for this long") \
    X(DURATION, idle_check_ms, "idle-check", "1m", 10, MS_DAY, TUNNELS, \
      "Look for idle tunnels this often") \
    X(DURATION, tunnel_max_age_ms, "tunnel-max-age", "4h", MS_SECOND, 30 * MS_DAY, \
      TUNNELS, \
      "Replace a tunnel after this long") \
    X(DURATION, ping_interval_ms, "ping-interval", "5s", 10, MS_HOUR, TUNNELS, \
      "Send a PING on each tunnel this often") \
    X(DURATION, ping_timeout_ms, "ping-timeout", "15s", 10, MS_HOUR, TUNNELS, \
      "Close a tunnel that received nothing for this long") \
    \
    X(CLIENT_LIST, clients, "clients", "auto", 0, 256, ACCESS, \
      "Users of this machine that may connect, @GROUPs too; repeatable") \
    X(AUTO_BOOL, proxy, "proxy", "auto", 0, 0, ACCESS, \
      "Serve CONNECT and SOCKS; auto: where only this machine can connect") \
    X(BOOL, proxy_raw, "proxy-raw", "false", 0, 0, ACCESS, \
      "Carry HTTP inside CONNECT and SOCKS as bytes, unchecked") \
    X(FILE, proxy_users, "proxy-users", "", 0, 0, ACCESS, \
      "File of USER:PASSWORD lines, of which proxy clients need one") \
    X(BOOL, proxy_outside, "proxy-outside", "false", 0, 0, ACCESS, \
      "Connect proxy requests of the same user to hosts outside, too") \
    X(PORT_LIST, proxy_outside_ports, "proxy-outside-ports", "80,443", 0, 64, ACCESS, \
      "Ports outside that --proxy-outside connects to; repeatable") \
    X(AUTO_BOOL, short_names, "short-names", "auto", 0, 0, ACCESS, \
      "Accept two-label names (Host: web.shop); auto: only in a pod") \
    X(ORIGIN_LIST, allow_origin, "allow-origin", "", 0, 256, ACCESS, \
      "Web pages that may send requests: origin, host, *.DOMAIN; repeatable") \
    X(HOST_LIST, allow_host, "allow-host", "", 0, 256, ACCESS, \
      "Host that browsers may send to exposed ports; repeatable") \
    X(LABEL_LIST, allow_namespace, "allow-namespace", "", 0, 1024, ACCESS, \
      "Reach services in this namespace only; repeatable") \
    X(LABEL_LIST, deny_namespace, "deny-namespace", "", 0, 1024, ACCESS, \
      "Never reach services in this namespace; repeatable") \
    \
    X(LEVELS, log_level, "log-level", "info", 0, 0, LOGS, \
      "error, warn, info or debug, also per module: info,tunnel=debug") \
    X(FILE, access_log, "access-log", "", 0, 0, LOGS, \
      "File with a line per request, or stderr; reopened at SIGUSR1") \
    X(ACCESS_FORMAT, access_log_format, "access-log-format", "combined", 0, 0, LOGS, \
      "How these lines look") \
    X(OTLP, otlp, "otlp", "", 0, 0, LOGS, \
      "File, or URL of an OpenTelemetry collector, for traces of requests") \
    X(COUNT, otlp_sample, "otlp-sample", "100", 0, 100, LOGS, \
      "Percent of the requests without a traceparent that are traced") \
    X(COUNT, service_metrics, "service-metrics", "0", 0, 1000, LOGS, \
      "Durations in /metrics for so many services; 0: none by service") \
    X(LOG_FORMAT, log_format, "log-format", "text", 0, 0, LOGS, \
      "How log lines look")
/* clang-format on */

/* What a running process applies when its configuration changes: X(field).  A change of any
 * other setting takes effect at the next start, which a reload reports. */
/* clang-format off */
#define SETTINGS_RELOADED(X) \
    X(port) X(listen) X(tls_port) X(expose) X(address_idle_ms) X(max_address_listeners) \
    X(max_connections) X(max_head_size) \
    X(max_head_fields) X(buffer_memory) X(head_timeout_ms) X(body_timeout_ms) \
    X(send_timeout_ms) X(client_idle_timeout_ms) X(drain_timeout_ms) \
    X(alias) X(target_port) X(max_objects) X(max_objects_size) X(plugin_timeout_ms) \
    X(lookup_rate) X(lookup_burst) X(dns_listen) X(dns_forward) X(dns_rate) \
    X(response_timeout_ms) X(wait_ms) X(dial_timeout_ms) X(replay_buffer) X(forwarded) \
    X(http2_streams) X(http2_window) X(transport) \
    X(half_close) X(tls_ca) X(tls) X(tls_termination) \
    X(tunnels_per_pod) X(http_tunnels_per_pod) X(small_request) X(prewarmed_tunnels) \
    X(tunnel_max_pairs) X(idle_timeout_ms) X(idle_check_ms) X(tunnel_max_age_ms) \
    X(ping_interval_ms) X(ping_timeout_ms) \
    X(clients) X(proxy) X(proxy_raw) X(proxy_users) X(proxy_outside) \
    X(proxy_outside_ports) X(short_names) X(allow_origin) X(allow_host) \
    X(allow_namespace) X(deny_namespace) \
    X(log_level) X(log_format) X(access_log) X(access_log_format) \
    X(otlp) X(otlp_sample) X(service_metrics)
/* clang-format on */
