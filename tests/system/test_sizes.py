"""Services larger than usual: what the API server allows is served.

SPDX-License-Identifier: MIT
"""
import json


def large_service(ports):
    """shop/many: each of its ports leads to port 8080 of the pod."""
    names = [{"name": f"p{i}", "port": 10000 + i} for i in range(ports)]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "many", "namespace": "shop"},
               "spec": {"selector": {"app": "many"}, "clusterIP": "10.0.0.9",
                        "ports": [{**p, "targetPort": "http" if i % 2 else 8080}
                                  for i, p in enumerate(names)]}}
    pod = {"apiVersion": "v1", "kind": "Pod",
           "metadata": {"name": "many-0", "namespace": "shop", "uid": "many-0", "labels": {"app": "many"}},
           "spec": {"nodeName": "n1",
                    "containers": [{"name": "c", "ports": [{"name": "http", "containerPort": 8080}]}]},
           "status": {"phase": "Running", "podIP": "10.9.0.1", "podIPs": [{"ip": "10.9.0.1"}],
                      "conditions": [{"type": "Ready", "status": "True"}]}}
    return [service, pod]


def test_all_ports_of_a_service_with_2000_are_served(start_both, tmp_path):
    path = tmp_path / "objects.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": large_service(2000)}))
    _, tunnel = start_both("--manifest", str(path))
    for port in (10000, 10099, 10100, 10110, 10999, 11999):
        answer = tunnel.get(f"many.shop.svc.cluster.local:{port}")
        assert (answer.status, answer.header("x-pod")) == (200, "many-0"), answer
    answer = tunnel.get("many.shop.svc.cluster.local:12000")
    assert answer.status == 404 and "has no port 12000" in answer.text, answer
    assert tunnel.get("_p1777._tcp.many.shop.svc.cluster.local").status == 200
