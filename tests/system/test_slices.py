"""EndpointSlices written by hand: Kubernetes does not check their targetRefs.

SPDX-License-Identifier: MIT
"""
import json

import pytest

from test_doctor import doctor


def pod(name):
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "man", "uid": f"uid-of-{name}"},
            "spec": {"nodeName": "n1", "containers": [{"name": "c", "ports": [{"containerPort": 8080}]}]},
            "status": {"phase": "Running", "podIP": "10.9.0.1", "podIPs": [{"ip": "10.9.0.1"}],
                       "conditions": [{"type": "Ready", "status": "True"}]}}


def service(name):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "man"},
            "spec": {"clusterIP": "10.0.0.9", "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}}


def endpoint_slice(of, **target):
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": f"{of}-by-hand", "namespace": "man",
                         "labels": {"kubernetes.io/service-name": of}},
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": [{"addresses": ["10.9.0.1"], "conditions": {"ready": True},
                           "targetRef": {"kind": "Pod", **target}}]}


TARGETS = {
    "plain": {"namespace": "man", "name": "plain-0"},
    "other": {"namespace": "man", "name": "other-0"},
    "claims": {"namespace": "man", "name": "claims-0", "uid": "uid-of-plain-0"},
    "crosses": {"namespace": "shop", "name": "db-0"},
    "smuggles": {"name": "x HTTP/1.1\r\nHost: h\r\n\r\nDELETE /api/v1/namespaces/shop/pods/db-0 HTTP/1.1\r\nX: "},
    "escapes": {"name": "../../shop/pods/db-0"},
}


@pytest.fixture(scope="module")
def objects(tmp_path_factory):
    path = tmp_path_factory.mktemp("slices") / "objects.json"
    items = [pod(f"{name}-0") for name in ("plain", "other", "claims")]
    for name, target in TARGETS.items():
        items += [service(name), endpoint_slice(name, **target)]
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    return path


def test_pods_without_a_uid_are_told_apart(start_both, objects):
    _, tunnel = start_both("--manifest", str(objects))
    for name in ("plain", "other", "claims", "plain", "other", "claims"):
        answer = tunnel.get(f"{name}.man.svc.cluster.local")
        assert (answer.status, answer.header("x-pod")) == (200, f"{name}-0"), answer


@pytest.mark.parametrize("name", ("crosses", "smuggles", "escapes"))
def test_a_slice_cannot_lead_to_another_namespace(start_both, objects, name):
    """It would act with our rights: the pod that it names is never requested."""
    _, tunnel = start_both("--manifest", str(objects), tunnel=["--deny-namespace", "shop"])
    answer = tunnel.get(f"{name}.man.svc.cluster.local")
    assert answer.status == 503 and "no endpoint that is a pod" in answer.text, answer
    assert "dialling" not in tunnel.log() and "port-forward failed" not in tunnel.log()


BY_ADDRESS = {"one": "10.9.1.1", "shared": "10.9.1.2", "node": "10.9.1.3", "elsewhere": "10.9.1.4",
              "ended": "10.9.1.5", "second": "fd00:9::1"}


def addressed_pod(name, ns="man", phase="Running", ips=(), **spec):
    made = pod(name)
    made["metadata"].update(namespace=ns, uid=f"uid-of-{ns}-{name}")
    made["spec"].update(spec)
    made["status"].update(phase=phase, podIP=ips[0], podIPs=[{"ip": ip} for ip in ips])
    return made


@pytest.fixture(scope="module")
def addressed(tmp_path_factory):
    """Slices that name addresses and no pods, as kubectl apply of an Endpoints object makes them."""
    path = tmp_path_factory.mktemp("slices") / "addressed.json"
    items = [addressed_pod("one-0", ips=["10.9.1.1"]),
             addressed_pod("shared-0", ips=["10.9.1.2"]), addressed_pod("shared-1", ips=["10.9.1.2"]),
             addressed_pod("node-0", ips=["10.9.1.3"], hostNetwork=True),
             addressed_pod("elsewhere-0", ns="shop", ips=["10.9.1.4"]),
             addressed_pod("ended-0", phase="Succeeded", ips=["10.9.1.5"]),
             addressed_pod("second-0", ips=["10.9.1.6", "fd00:9::1"])]
    for name, address in BY_ADDRESS.items():
        by_hand = endpoint_slice(name)
        by_hand["endpoints"] = [{"addresses": [address], "conditions": {"ready": True}}]
        items += [service(name), by_hand]
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    return path


@pytest.mark.parametrize("rights", ("watch", "namespace"))
def test_an_address_without_a_target_leads_to_the_only_pod_with_it(start_both, addressed, rights):
    _, tunnel = start_both("--manifest", str(addressed), "--rights", rights, ready=rights == "watch")
    for name in ("one", "second"):
        answer = tunnel.get(f"{name}.man.svc.cluster.local")
        if rights == "namespace":  # of shop: the pods of man may not be listed
            assert answer.status in (502, 503), answer
        else:
            assert (answer.status, answer.header("x-pod")) == (200, f"{name}-0"), answer


@pytest.mark.parametrize("name", ("shared", "node", "elsewhere", "ended"))
def test_an_address_of_no_or_several_pods_is_not_used(start_both, addressed, name):
    _, tunnel = start_both("--manifest", str(addressed))
    answer = tunnel.get(f"{name}.man.svc.cluster.local")
    assert answer.status == 503 and "no endpoint that is a pod" in answer.text, answer
    assert "exactly one pod" in answer.text and "dialling" not in tunnel.log()


@pytest.mark.parametrize("name", ("crosses", "smuggles", "escapes"))
def test_doctor_opens_no_tunnel_to_another_namespace(start_playground, objects, name):
    playground = start_playground("--manifest", str(objects))
    found = doctor(f"{name}.man", "--kubeconfig", playground.kubeconfig)
    assert found.bad() == {"tunnel": "failed"}, found.checks
    assert f"service {name} in namespace man has no pod that is ready" in found["tunnel"]["text"], found["tunnel"]
