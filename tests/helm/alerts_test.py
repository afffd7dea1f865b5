"""The alerts fire when they should and only then; they and the dashboard use metrics that exist."""

import functools
import json
import pathlib
import re
import tempfile
import unittest

import yaml

import chart

CASES = yaml.safe_load((chart.TESTS / "alerts.yaml").read_text())
RUNBOOKS = chart.ROOT / "docs" / "runbooks"
SELECTOR = {"namespace": chart.NAMESPACE, "service": f"{chart.RELEASE}-penstock"}
BASE_URL = "https://runbooks.example.com"


@functools.cache
def groups():
    """The rules as a release makes them."""
    documents = chart.render({"prometheusRule": {"enabled": True, "runbookBaseUrl": BASE_URL + "/"}})
    return chart.one(documents, "PrometheusRule")["spec"]


def alerts():
    return [rule for group in groups()["groups"] for rule in group["rules"]]


def dashboard():
    documents = chart.render({"dashboard": {"enabled": True}})
    return json.loads(chart.one(documents, "ConfigMap", "-dashboard")["data"]["penstock.json"])


def exported():
    """Metric → its labels, from the page that is generated from the program's table."""
    page = (chart.ROOT / "docs" / "reference" / "metrics.md").read_text()
    metrics = {}
    for name, kind, labels in re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \|", page, flags=re.M):
        labels = {label.strip() for label in labels.split(",") if label.strip()}
        if kind == "histogram":
            metrics |= {f"{name}_bucket": labels | {"le"}, f"{name}_sum": labels, f"{name}_count": labels}
        else:
            metrics[name] = labels
    return metrics


def used(expression):
    """(metric, labels of its selector) in a PromQL expression."""
    for name, selector in re.findall(r"\b((?:penstock|process)_\w+)\s*(?:\{([^}]*)\})?", expression):
        yield name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selector))


def promtool(*command, files):
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (pathlib.Path(folder) / name).write_text(json.dumps(content))
        return chart.run(chart.tool("promtool"), *command, cwd=folder)


def series(name, values):
    labels = ",".join(f'{key}="{value}"' for key, value in SELECTOR.items())
    head, brace, rest = name.partition("{")
    return {"series": f"{head}{{{labels},{rest}" if brace else f"{head}{{{labels}}}", "values": str(values)}


def unit_test(alert, case, fires):
    """A test of promtool's: at `at` the alert fires with these labels, or does not."""
    rule = next(rule for rule in alerts() if rule["alert"] == alert)
    labels = {"alertname": alert, "alertstate": "firing", **rule["labels"], **case.get("labels", {})}
    sample = "ALERTS{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"
    return {
        "interval": "1m",
        "input_series": [series(name, values) for name, values in case["series"].items()],
        "promql_expr_test": [{
            "expr": f'ALERTS{{alertname="{alert}",alertstate="firing"}}', "eval_time": case["at"],
            "exp_samples": [{"labels": sample, "value": 1}] if fires else []}],
    }


class Alerts(unittest.TestCase):
    def test_promtool_finds_nothing_wrong(self):
        result = promtool("check", "rules", "rules.yaml", files={"rules.yaml": groups()})
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def run_cases(self, tests):
        return promtool("test", "rules", "test.yaml", files={
            "rules.yaml": groups(),
            "test.yaml": {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests}})

    def test_every_alert_fires_and_keeps_quiet_as_its_cases_say(self):
        tests = []
        for alert, cases in CASES.items():
            tests += [unit_test(alert, case, True) for case in [cases["fires"], *cases.get("also_fires", [])]]
            tests += [unit_test(alert, case, False) for case in cases["quiet"]]
        result = self.run_cases(tests)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_a_case_that_is_wrong_is_noticed(self):
        cases = CASES["PenstockFenced"]
        for wrong in (unit_test("PenstockFenced", cases["fires"], False),
                      unit_test("PenstockFenced", {**cases["quiet"][0], "labels": cases["fires"]["labels"]}, True)):
            self.assertNotEqual(self.run_cases([wrong]).returncode, 0)

    def test_every_alert_has_cases_and_a_page_and_nothing_else_has(self):
        names = {rule["alert"] for rule in alerts()}
        self.assertEqual(names, set(CASES))
        self.assertEqual(names, {page.stem for page in RUNBOOKS.glob("*.md")} - {"README"})
        for cases in CASES.values():
            self.assertTrue(cases["quiet"])

    def test_every_alert_says_how_bad_it_is_and_where_its_page_is(self):
        for rule in alerts():
            self.assertIn(rule["labels"]["severity"], ("critical", "warning"))
            self.assertEqual(rule["annotations"]["runbook_url"], f"{BASE_URL}/{rule['alert']}.md")
            self.assertLessEqual({"summary", "description"}, set(rule["annotations"]))

    def test_texts_name_only_labels_that_the_alert_has(self):
        for rule in alerts():
            there = set(CASES[rule["alert"]]["fires"]["labels"])
            text = " ".join(rule["annotations"].values())
            self.assertLessEqual(set(re.findall(r"\$labels\.(\w+)", text)), there, rule["alert"])

    def test_no_placeholder_is_left(self):
        self.assertNotRegex(json.dumps(groups()), r"\$(?!labels|value)[A-Z]")

    def test_every_page_has_its_parts(self):
        for page in RUNBOOKS.glob("Penstock*.md"):
            headings = re.findall(r"^(#+ .*)$", page.read_text(), flags=re.M)
            self.assertEqual(headings, [f"# {page.stem}", "## Meaning", "## Impact", "## Diagnosis", "## Remedy"])

    def test_every_link_of_the_pages_leads_somewhere(self):
        for page in RUNBOOKS.glob("*.md"):
            for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
                self.assertTrue((page.parent / target).exists(), f"{page.name}: {target}")

    def test_alerts_can_be_left_out_and_labelled(self):
        documents = chart.rendered(chart.CHART / "ci" / "monitoring-values.yaml")
        rules = chart.one(documents, "PrometheusRule")["spec"]["groups"][0]["rules"]
        self.assertNotIn("PenstockVersionSkew", [rule["alert"] for rule in rules])
        self.assertEqual({rule["labels"]["team"] for rule in rules}, {"data"})
        self.assertIn("> 2000000", next(r for r in rules if r["alert"] == "PenstockLagHigh")["expr"])


class Metrics(unittest.TestCase):
    def check(self, where, expression):
        metrics = exported()
        found = list(used(expression))
        self.assertTrue(found, f"{where} uses no metric of ours: {expression}")
        for name, labels in found:
            self.assertIn(name, metrics, where)
            self.assertLessEqual(labels - set(SELECTOR), metrics[name], f"{where}: {name}")

    def test_the_page_of_metrics_is_understood(self):
        self.assertGreater(len(exported()), 30)
        self.assertEqual(exported()["penstock_stage_duration_seconds_bucket"], {"pipeline", "stage", "le"})

    def test_alerts_use_metrics_and_labels_that_the_program_exports(self):
        for rule in alerts():
            self.check(rule["alert"], rule["expr"])

    def test_the_dashboard_uses_metrics_and_labels_that_the_program_exports(self):
        expressions = [(panel["title"], target["expr"]) for panel in dashboard()["panels"]
                       for target in panel.get("targets", [])]
        self.assertGreater(len(expressions), 25)
        for title, expression in expressions:
            self.check(title, expression)

    def test_the_autoscaler_uses_a_metric_that_the_program_exports(self):
        documents = chart.rendered(chart.CHART / "ci" / "keda-prometheus-values.yaml")
        queries = [trigger["metadata"]["query"] for trigger in
                   chart.one(documents, "ScaledObject")["spec"]["triggers"] if trigger["type"] == "prometheus"]
        self.assertEqual(len(queries), 1)
        self.check("KEDA", queries[0])

    def test_every_expression_of_the_dashboard_is_promql(self):
        rules = [{"record": f"panel:{panel['id']}:{target['refId']}",
                  "expr": re.sub(r"\$__(rate_interval|range)", "5m", target["expr"])}
                 for panel in dashboard()["panels"] for target in panel.get("targets", [])]
        result = promtool("check", "rules", "rules.yaml",
                          files={"rules.yaml": {"groups": [{"name": "dashboard", "rules": rules}]}})
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)


class Layout(unittest.TestCase):
    def test_panels_fill_their_rows_and_do_not_overlap(self):
        taken = {}
        for panel in dashboard()["panels"]:
            place = panel["gridPos"]
            for x in range(place["x"], place["x"] + place["w"]):
                for y in range(place["y"], place["y"] + place["h"]):
                    self.assertNotIn((x, y), taken, f"{panel['title']} lies on {taken.get((x, y))}")
                    taken[x, y] = panel["title"]
        height = max(y for _, y in taken) + 1
        self.assertEqual(len(taken), 24 * height)

    def test_every_panel_has_a_title_and_an_explanation(self):
        for panel in dashboard()["panels"]:
            self.assertTrue(panel["title"])
            if panel["type"] != "row":
                self.assertTrue(panel["description"], panel["title"])
        identifiers = [panel["id"] for panel in dashboard()["panels"]]
        self.assertEqual(len(identifiers), len(set(identifiers)))
