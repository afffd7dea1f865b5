"""What the chart makes of its values."""

import re
import unittest

import yaml

import chart

HOOK = "helm.sh/hook"


class Rendering(unittest.TestCase):
    def each(self):
        return (chart.rendered(file) for file in chart.ALL_VALUES)

    def test_there_are_at_least_twelve_files_of_values(self):
        self.assertGreaterEqual(len(chart.CI_VALUES), 12)

    def test_lint_finds_nothing(self):
        for program in chart.HELMS:
            for file in chart.ALL_VALUES:
                result = chart.helm("lint", "--strict", "--kube-version", chart.KUBERNETES[-1], chart.CHART,
                                    "--values", file, program=program)
                self.assertEqual(result.returncode, 0, file.name + result.stdout + result.stderr)

    def test_helm_4_makes_the_same_objects(self):
        def by_name(documents):
            return {(d["kind"], d["metadata"]["name"]): d for d in documents}
        for file in chart.ALL_VALUES:
            other = chart.objects(chart.template(file, program=chart.HELMS[1]).stdout)
            self.assertEqual(by_name(other), by_name(chart.rendered(file)))

    def test_the_oldest_version_of_kubernetes_gets_the_same_objects(self):
        for file in chart.ALL_VALUES:
            self.assertEqual(chart.rendered(file, chart.KUBERNETES[0]), chart.rendered(file))

    def test_an_older_version_is_refused(self):
        result = chart.template(chart.CI_VALUES[0], version="1.29.0")
        self.assertIn("chart requires kubeVersion: >=1.30.0-0", result.stderr)

    def test_no_two_objects_have_one_name(self):
        for documents in self.each():
            names = [(d["kind"], d["metadata"]["name"]) for d in documents]
            self.assertEqual(len(names), len(set(names)), names)

    def test_no_secret_is_made(self):
        for documents in self.each():
            self.assertNotIn("Secret", [d["kind"] for d in documents])

    def test_every_selector_selects_the_pods_that_it_is_for(self):
        for documents in self.each():
            main = chart.workload(documents)
            labels = main["spec"]["template"]["metadata"]["labels"]
            selectors = [main["spec"]["selector"]["matchLabels"],
                         chart.one(documents, "Service")["spec"]["selector"]]
            for document in documents:
                if document["kind"] == "PodDisruptionBudget":
                    selectors.append(document["spec"]["selector"]["matchLabels"])
            for selector in selectors:
                self.assertLessEqual(selector.items(), labels.items())
                for name, metadata, _ in chart.pods(documents):
                    if not name.startswith(main["kind"] + "/"):
                        self.assertFalse(selector.items() <= metadata["labels"].items(), name)

    def test_no_pod_has_a_token(self):
        for documents in self.each():
            for name, _, spec in chart.pods(documents):
                self.assertIs(spec["automountServiceAccountToken"], False, name)
            for document in documents:
                if document["kind"] == "ServiceAccount":
                    self.assertIs(document["automountServiceAccountToken"], False)

    def test_every_container_has_a_read_only_root_and_limits(self):
        for documents in self.each():
            for name, _, spec in chart.pods(documents):
                for container in spec["containers"]:
                    self.assertIs(container["securityContext"]["readOnlyRootFilesystem"], True, name)
                    self.assertIn("memory", container["resources"]["limits"], name)

    def test_every_mounted_volume_is_there(self):
        for documents in self.each():
            for name, _, spec in chart.pods(documents):
                volumes = [volume["name"] for volume in spec["volumes"]]
                mounts = [m["name"] for c in spec["containers"] for m in c["volumeMounts"]]
                self.assertEqual(sorted(volumes), sorted(mounts), name)

    def test_every_variable_of_the_configuration_is_in_every_pod(self):
        for documents in self.each():
            texts = [d["data"]["penstock.yaml"] for d in documents if "penstock.yaml" in d.get("data", {})]
            wanted = {name for text in texts for name in re.findall(r"\$\{(\w+)\}", text)}
            for name, _, spec in chart.pods(documents):
                self.assertLessEqual(wanted, {v["name"] for v in spec["containers"][0]["env"]}, name)

    def test_every_file_of_the_configuration_is_in_every_pod(self):
        for documents in self.each():
            texts = [d["data"]["penstock.yaml"] for d in documents if "penstock.yaml" in d.get("data", {})]
            wanted = {path for text in texts for path in re.findall(r"\$\{file:([^}]+)\}", text)}
            for name, _, spec in chart.pods(documents):
                mounts = {m["name"]: m["mountPath"] for m in spec["containers"][0]["volumeMounts"]}
                there = {f"{mounts[volume['name']]}/{item['path']}" for volume in spec["volumes"]
                         for item in volume.get("secret", {}).get("items", [])}
                self.assertLessEqual(wanted, there, name)

    def test_no_variable_has_a_secret_but_the_collectors_headers_and_the_users_own(self):
        own = {"ORDERS_DB", "KEY_PASSWORD"}  # extraEnv of ci/extra-values.yaml
        for documents in self.each():
            for name, _, spec in chart.pods(documents):
                secret = {v["name"] for v in spec["containers"][0]["env"] if "secretKeyRef" in v.get("valueFrom", {})}
                self.assertLessEqual(secret - own, {"OTEL_EXPORTER_OTLP_HEADERS"}, name)

    def test_the_readme_has_the_values_as_they_are(self):
        result = chart.run("python3", chart.ROOT / "tools" / "gen_chart_readme.py", "--check")
        self.assertEqual(result.returncode, 0, result.stderr)

    def test_the_chart_is_made_for_the_version_of_the_program(self):
        version = re.search(r"project\(penstock VERSION (\S+)", (chart.ROOT / "CMakeLists.txt").read_text())
        self.assertEqual(yaml.safe_load((chart.CHART / "Chart.yaml").read_text())["appVersion"], version[1])


class Workload(unittest.TestCase):
    def test_a_member_of_the_group_is_named_after_its_pod(self):
        documents = chart.rendered(chart.CHART / "ci" / "default-values.yaml")
        kafka = chart.configuration(documents)["pipelines"][0]["source"]["kafka"]
        self.assertEqual(kafka["group.instance.id"], "${POD_NAME}")
        self.assertEqual(kafka["session.timeout.ms"], "45000")
        environment = chart.workload(documents)["spec"]["template"]["spec"]["containers"][0]["env"]
        self.assertIn({"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                      environment)

    def test_without_static_membership_members_have_no_names(self):
        documents = chart.rendered(chart.CHART / "ci" / "deployment-values.yaml")
        self.assertEqual(chart.configuration(documents)["pipelines"][0]["source"]["kafka"],
                         {"bootstrap.servers": "${KAFKA_BROKERS}", "security.protocol": "ssl"})

    def test_what_a_pipeline_says_stands(self):
        documents = chart.rendered(chart.CHART / "ci" / "static-membership-values.yaml")
        slow, own = chart.configuration(documents)["pipelines"]
        self.assertEqual(slow["drain_timeout"], "1m30s")
        self.assertEqual(own["drain_timeout"], "30s")
        self.assertEqual(own["source"]["kafka"]["session.timeout.ms"], 60000)
        self.assertEqual(slow["batch"]["max_bytes"], 16777216)

    def test_workers_and_lanes_are_those_of_the_pod(self):
        def server(name):
            configured = chart.configuration(chart.rendered(chart.CHART / "ci" / f"{name}-values.yaml"))["server"]
            return {key: configured.get(key) for key in ("min_workers", "max_workers", "lanes")}
        self.assertEqual(server("default"), {"min_workers": 1, "max_workers": None, "lanes": 2})
        self.assertEqual(server("static-membership"), {"min_workers": 2, "max_workers": 8, "lanes": 4})

    def test_the_grace_period_covers_the_slowest_drain(self):
        for drain, expected in (("90s", 3 + 90 + 15), ("1m30s", 108), ("1500ms", 3 + 10 + 15), ("1h", 3618)):
            pipelines = [{"name": "a", "source": {"topics": ["a"], "group": "a"}, "sink": {"target": {"table": "a"}},
                          "drain_timeout": drain}]
            spec = chart.workload(chart.render({"pipelines": pipelines}))["spec"]["template"]["spec"]
            self.assertEqual(spec["terminationGracePeriodSeconds"], expected, drain)
            self.assertEqual(spec["containers"][0]["lifecycle"], {"preStop": {"sleep": {"seconds": 3}}})

    def test_a_rollout_takes_one_pod_at_a_time(self):
        stateful = chart.workload(chart.render({}))["spec"]
        self.assertEqual(stateful["updateStrategy"], {"type": "RollingUpdate"})
        self.assertEqual(stateful["minReadySeconds"], 10)
        deployment = chart.workload(chart.rendered(chart.CHART / "ci" / "deployment-values.yaml"))["spec"]
        self.assertEqual(deployment["strategy"]["rollingUpdate"], {"maxSurge": 0, "maxUnavailable": 1})

    def test_liveness_asks_for_the_heartbeat_and_readiness_for_more(self):
        container = chart.workload(chart.render({}))["spec"]["template"]["spec"]["containers"][0]
        paths = {probe: container[probe]["httpGet"] for probe in
                 ("startupProbe", "livenessProbe", "readinessProbe")}
        self.assertEqual(paths, {"startupProbe": {"path": "/livez", "port": "probes"},
                                 "livenessProbe": {"path": "/livez", "port": "probes"},
                                 "readinessProbe": {"path": "/readyz", "port": "probes"}})

    def test_the_probes_have_a_port_that_neither_the_service_nor_the_network_lets_others_reach(self):
        documents = chart.render({})
        container = chart.workload(documents)["spec"]["template"]["spec"]["containers"][0]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        self.assertEqual(ports, {"http": 8080, "probes": 8081})
        self.assertEqual(chart.configuration(documents)["server"]["probes"], "0.0.0.0:8081")
        self.assertEqual([port["targetPort"] for port in chart.one(documents, "Service")["spec"]["ports"]], ["http"])
        ingress = chart.one(documents, "NetworkPolicy", "penstock")["spec"]["ingress"]
        self.assertEqual([port["port"] for rule in ingress for port in rule["ports"]], [8080])

    def test_a_new_configuration_is_a_rollout_and_a_new_chart_alone_is_none(self):
        def pod(values):
            return chart.workload(chart.render(values))["spec"]["template"]["metadata"]
        self.assertNotEqual(pod({}), pod({"log": {"level": "debug"}}))
        self.assertFalse([label for label in pod({})["labels"] if "version" in label or "chart" in label])

    def test_autoscaling_leaves_the_number_of_pods_alone_and_stops_at_the_partitions(self):
        for name, limit in (("hpa", ("HorizontalPodAutoscaler", "maxReplicas")),
                            ("keda", ("ScaledObject", "maxReplicaCount")),
                            ("keda-prometheus", ("ScaledObject", "maxReplicaCount"))):
            values = {"partitions": 5, "autoscaling": {"maxReplicas": 20}}
            documents = chart.render(values, base=name)
            self.assertNotIn("replicas", chart.workload(documents)["spec"])
            self.assertEqual(chart.one(documents, limit[0])["spec"][limit[1]], 5)

    def test_never_both_autoscalers(self):
        for file in chart.ALL_VALUES:
            kinds = [d["kind"] for d in chart.rendered(file)]
            self.assertFalse({"HorizontalPodAutoscaler", "ScaledObject"} <= set(kinds), file.name)


class Network(unittest.TestCase):
    def policy(self, name, ends="penstock"):
        return chart.one(chart.rendered(chart.CHART / "ci" / f"{name}-values.yaml"), "NetworkPolicy", ends)

    def test_both_directions_are_closed_but_for_what_is_listed(self):
        for ends in ("penstock", "migrate"):
            self.assertEqual(self.policy("default", ends)["spec"]["policyTypes"], ["Ingress", "Egress"])
        self.assertNotIn("ingress", self.policy("default", "migrate")["spec"])

    def test_traffic_goes_out_to_dns_brokers_and_database_and_only_with_an_endpoint_to_a_collector(self):
        def ports(name):
            return [[port["port"] for port in rule["ports"]] for rule in self.policy(name)["spec"]["egress"]]
        self.assertEqual(ports("default"), [[53, 53], [9092, 9093], [5432]])
        self.assertEqual(ports("monitoring"), [[53, 53], [9092, 9093], [5432], [4317, 4318]])

    def test_by_default_both_ways_end_at_the_namespace(self):
        pods_here, policy = [{"podSelector": {}}], self.policy("default")["spec"]
        self.assertEqual([rule["from"] for rule in policy["ingress"]], [pods_here])
        dns, brokers, database = policy["egress"]
        self.assertEqual((brokers["to"], database["to"]), (pods_here, pods_here))
        self.assertIn("namespaceSelector", dns["to"][0])

    def test_nobody_named_is_nobody_reached(self):
        nobody = {"networkPolicy": {"ingress": {"metrics": []}, "egress": {
            name: {"to": []} for name in ("kafka", "postgres", "dns")}}}
        documents = chart.render(nobody)
        for ends in ("penstock", "migrate"):
            spec = chart.one(documents, "NetworkPolicy", ends)["spec"]
            self.assertEqual(spec["policyTypes"], ["Ingress", "Egress"])
            self.assertFalse(spec.get("ingress") or spec.get("egress"), spec)

    def test_the_control_api_is_closed_until_somebody_is_let_in(self):
        def ingress(documents):
            return [rule["ports"][0]["port"] for rule in
                    chart.one(documents, "NetworkPolicy", "penstock")["spec"]["ingress"]]
        self.assertEqual(ingress(chart.render({})), [8080])
        enabled = {"control": {"enabled": True, "tls": {"existingSecret": "penstock-control"}}}
        self.assertEqual(ingress(chart.render(enabled)), [8080])
        self.assertEqual(ingress(chart.rendered(chart.CHART / "ci" / "control-tls-values.yaml")), [8080, 7070])
        self.assertEqual(chart.configuration(chart.render({}))["server"]["grpc"], "127.0.0.1:7070")


class Migrations(unittest.TestCase):
    def test_everything_that_the_job_needs_is_there_before_it(self):
        for file in chart.ALL_VALUES:
            documents = chart.rendered(file)
            before = {(d["kind"], d["metadata"]["name"]): int(d["metadata"]["annotations"]["helm.sh/hook-weight"])
                      for d in documents
                      if d["metadata"].get("annotations", {}).get(HOOK) == "pre-install,pre-upgrade"}
            job = chart.one(documents, "Job")
            weight = before.pop(("Job", job["metadata"]["name"]))
            self.assertTrue(all(other < weight for other in before.values()), file.name)
            spec = job["spec"]["template"]["spec"]
            made_later = {(d["kind"], d["metadata"]["name"]) for d in documents} - set(before)
            self.assertNotIn(("ServiceAccount", spec["serviceAccountName"]), made_later)
            self.assertNotIn(("ConfigMap", spec["volumes"][0]["configMap"]["name"]), made_later)

    def test_the_job_may_have_the_owners_credentials(self):
        documents = chart.render({"migrations": {"existingSecret": "orders-owner"}})
        secrets = {name: volume["secret"]["secretName"] for name, _, spec in chart.pods(documents)
                   for volume in spec["volumes"] if volume["name"] == "database"}
        full = f"{chart.RELEASE}-penstock"
        self.assertEqual(secrets, {f"StatefulSet/{full}": "orders-db", f"Pod/{full}-test": "orders-db",
                                   f"Job/{full}-migrate": "orders-owner"})

    def test_the_programs_commands_are_run(self):
        documents = chart.render({})
        arguments = {name: spec["containers"][0]["args"] for name, _, spec in chart.pods(documents)}
        config = ["--config", "/etc/penstock/penstock.yaml"]
        full = f"{chart.RELEASE}-penstock"
        self.assertEqual(arguments, {f"StatefulSet/{full}": ["serve", *config],
                                     f"Job/{full}-migrate": ["migrate", "up", *config],
                                     f"Pod/{full}-test": ["check", "--online", *config]})
