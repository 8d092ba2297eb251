"""Published tables on data sets that Benchmarks/architectures has, and the protocols under which ours stands beside them.

Figures are the authors' own, read at the source that each table names, but for those called "computed", which follow
from the data.
"""

ett = dict(data="ett", context=336, seasonality=[24, 168], held=2880, stride=1, season=24, unitSteps=8640)

# What Benchmarks/architectures fits and from where it forecasts; `validation`: horizons at the end of what is learned
# from that decide when to stop and are no training target.
protocols = {
    **{f"ett{horizon}": dict(ett, title=f"ETTh1, {horizon} ahead", horizon=horizon, validation=2880 // horizon,
                             budget=dict(steps=1000, batch=64, learningRate=1e-3))
       for horizon in (96, 192, 336, 720)},
    "btc": dict(data="btc", title="Bitcoin", horizon=1, context=14, seasonality=[1], held=350, stride=1, season=1,
                validation=379, budget=dict(steps=1000, batch=32, learningRate=1e-3)),
    "mobility1": dict(data="regions", title="Paris mobility, one step", horizon=1, context=6, seasonality=[48, 336],
                      held=336, stride=1, season=48, validation=None,
                      budget=dict(steps=2000, batch=32, learningRate=1e-3)),
}
# Closed forms and the networks that are fitted fastest, one of each family at least.
kinds = {
    "ett": ["nlinear", "dlinear", "arnet", "patchtst", "xlstm-mixer", "nhits", "mlp", "lstm", "s4d", "tirex", "mamba",
            "seasonal-naive", "last value"],
    "btc": ["nlinear", "dlinear", "arnet", "lstm", "bilstm", "gru", "bigru", "mamba", "slstm", "patchtst", "mlp", "nhits",
            "xlstm-mixer", "last value"],
    "regions": ["nlinear", "dlinear", "arnet", "lstm", "bilstm", "gru", "bigru", "mamba", "slstm", "patchtst", "mlp", "nhits",
                "xlstm-mixer", "last value"],
}

ett_rows = [
    ("PatchTST/64 (look-back 512)", [(0.370, 0.400), (0.413, 0.429), (0.422, 0.440), (0.447, 0.468)]),
    ("PatchTST/42 (336)", [(0.375, 0.399), (0.414, 0.421), (0.431, 0.436), (0.449, 0.466)]),
    ("NLinear (336)", [(0.374, 0.394), (0.408, 0.415), (0.429, 0.427), (0.440, 0.453)]),
    ("DLinear (336)", [(0.375, 0.399), (0.405, 0.416), (0.439, 0.443), (0.472, 0.490)]),
    ("FEDformer-f (96)", [(0.376, 0.419), (0.420, 0.448), (0.459, 0.465), (0.506, 0.507)]),
    ("Autoformer (96)", [(0.449, 0.459), (0.500, 0.482), (0.521, 0.496), (0.514, 0.512)]),
    ("Informer", [(0.865, 0.713), (1.008, 0.792), (1.107, 0.809), (1.181, 0.865)]),
    ("last 24 hours, computed", [(0.512, 0.433), (0.581, 0.469), (0.650, 0.501), (0.655, 0.514)]),
    ("last value, computed", [(1.294, 0.713), (1.325, 0.733), (1.330, 0.746), (1.335, 0.755)]),
]
# RMSE, MAPE, MAE.
btc_rows = [
    ("LSTM", 2672.7, 3.609, 2094.3), ("LSTM with volume", 2202.1, 2.896, 1668.9),
    ("Bi-LSTM", 2325.6, 3.072, 1778.8), ("GRU", 1892.4, 2.385, 1371.2), ("iTransformer", 1826.9, 2.426, 1334.3),
    ("S-Mamba", 1717.4, 2.248, 1239.9), ("S-Mamba with volume", 1651.6, 2.215, 1209.7),
    ("CryptoMamba", 1713.0, 2.171, 1200.9), ("CryptoMamba with volume", 1598.1, 2.034, 1120.7),
    ("last value, computed", 1568.5, 1.973, 1091.9),
]
# Mean RMSE and mean MAE of the six regions.
mobility_rows = [
    ("last value (the paper's baseline)", 1503.6, 1107.1), ("LSTM", 1254.2, 943.8), ("BiLSTM", 1241.6, 931.7),
    ("GRU", 1241.1, 929.6), ("BiGRU", 1214.3, 907.1), ("BiGRU, private gradients, epsilon 0.0650", 1225.7, 916.0),
]
# sMAPE, MASE, weighted quantile loss.
m4_rows = [
    ("Doornik et al.", 8.913, 0.801, None), ("ES-RNN (winner)", 9.328, 0.893, None),
    ("FFORMA", 11.506, 0.819, None), ("seasonal naive", 13.912, 1.193, 0.0376), ("MLP benchmark", 13.842, 2.607, None),
    ("RNN benchmark", 14.698, 3.048, None), ("Naive2", 18.383, 2.395, None), ("TiRex, pretrained", 7.85, 0.722, 0.0202),
    ("FlowState-9.1M, pretrained", 8.67, 0.731, 0.0205), ("auto-ARIMA", 13.7, 1.03, 0.0337), ("N-BEATS", 12.0, 1.34, 0.0501),
    ("PatchTST", 14.3, 1.40, 0.0390), ("DLinear", 18.3, 1.69, 0.0553), ("TFT", 20.2, 2.47, 0.0401),
    ("xLSTM-Mixer", 25.4, 3.344, 0.0302), ("DeepAR", 16.4, 3.53, 0.133),
]
# sMAPE, MASE.
m3_rows = [
    ("N-BEATS, large ensemble", 13.24, None), ("ForecastX", 14.47, 0.89), ("THETA", 13.89, 0.86), ("ForecastPro", 13.90, 0.85),
    ("B-J auto (ARIMA)", 14.80, 0.91), ("Auto-ANN", 15.03, 0.93), ("Naive2", 16.89, 1.04),
    ("seasonal last value, computed", 17.23, 1.15),
]
naive2 = dict(smape=18.383, mase=2.395)


def cell(value, digits):
    return "–" if value is None else f"{value:,.{digits}f}"


def ordered(title, columns, published, ours, digits):
    """One table, best first by its first column that all rows have."""
    lines = ["| | " + " | ".join(columns) + " |", "| --- |" + " ---: |" * len(columns)]
    rows = [(name, values, False) for name, *values in published] + [(name, values, True) for name, *values in ours]
    key = next(k for k in range(len(columns)) if all(values[k] is not None for _, values, _ in rows))
    for name, values, is_ours in sorted(rows, key=lambda row: row[1][key]):
        name = f"**{name}**, ours" if is_ours else name
        lines.append(f"| {name} | " + " | ".join(cell(value, digit) for value, digit in zip(values, digits)) + " |")
    return lines


def scores(results, on):
    """Kinds and scores of a protocol or a set, failures left out."""
    return [(kind, result["scores"]) for (kind, name), result in sorted(results.items()) if name == on and "scores" in result]


def document(results, budget):
    out = [
        "", "## Beside published figures", "",
        "Ours under the protocols of published tables, measured by `Benchmarks/architectures --published`; width 64, one layer,",
        "options at their defaults, seed 1. Whoever published has chosen widths, rates and epochs for the data set; here",
        "nothing was. Our point forecast is the median, trained by quantile losses, where most of the others minimise the squared",
        "error: that costs squared errors and helps absolute ones. Rows called \"computed\" follow from the data alone; ours of the same",
        "name agree with them, which checks protocol and metric.",
        "", "### ETTh1", "",
        "MSE / MAE on standardised values, all seven columns, every window of the test part (rows 11520 to 14399, stride 1);",
        "standardised by rows 0 to 8639, trained before row 11520, of which the last 2880 rows (whole horizons of them) only",
        "decide when to stop; look-back 336; 1000 steps of 64 windows at a rate of 0.001. Published: LTSF-Benchmark.md of",
        "cure-lab/LTSF-Linear and table 3 of yuqinie98/PatchTST; some repositories leave out an incomplete last batch, which moves",
        "the third decimal. What is ours alone: one set of weights for all columns, each scaled by its own window, and a",
        "loss in units of that window, so that quiet windows count as much as restless ones, whose squared errors make up",
        "the MSE; quantiles; a learned mixture of last values to begin from. How much of the difference to a row of the same name",
        "each of these makes was not taken apart; `arnet`, least squares with a penalty, has the same inputs and no such loss.",
        "",
    ]
    horizons = (96, 192, 336, 720)
    measured = {horizon: dict(scores(results, f"ett{horizon}")) for horizon in horizons}
    out += ["| | " + " | ".join(map(str, horizons)) + " |", "| --- |" + " ---: |" * len(horizons)]
    rows = [(name, values) for name, values in ett_rows]
    for kind in kinds["ett"]:
        values = [measured[horizon].get(kind) for horizon in horizons]
        if any(values):
            rows.append((f"**{kind}** (336), ours", [value and (value["mse"], value["mae"]) for value in values]))
    for name, values in sorted(rows, key=lambda row: row[1][0][0] if row[1][0] else 9):
        out.append(f"| {name} | " + " | ".join("–" if value is None else f"{value[0]:.3f} / {value[1]:.3f}" for value in values) + " |")
    out += [
        "", "### Bitcoin", "",
        "The close of the next day from 14 days, 350 targets (rows 14 to 363 of the test file), in dollars; 1000 steps of 32",
        "windows at a rate of 0.001, stopped by the validation file and the 14 days after it, which are the first context.",
        "Published: README of MShahabSepehri/CryptoMamba. Ours read the close alone, scaled by its window, and start from",
        "the last value, so they stay near it, while test prices leave the range of the training part, which networks on",
        "prices themselves have to extrapolate to. A row above the last value shows no skill, whoever's it is.",
        "",
    ]
    out += ordered("Bitcoin", ["RMSE", "MAPE, %", "MAE"], btc_rows,
                   [(kind, s["rmse"], s["mape"], s["error"]) for kind, s in scores(results, "btc") if kind in kinds["btc"]], [1, 3, 1])
    out += [
        "", "### Paris mobility, one step ahead", "",
        "The next half hour from six, last 336 rows, users per region, means over the six regions; 2000 steps of 32 windows at",
        "a rate of 0.001. Published: Arcolezi et al. 2022, tables 3 and 5. Their networks read all regions at once and time of day and",
        "week; ours one region at a time, the same weights for all, and the same cyclic features, but not the other",
        "regions: the likely reason that they stay behind.",
        "",
    ]
    out += ordered("Paris", ["mean RMSE", "mean MAE"], mobility_rows,
                   [(kind, s["rmse"], s["error"]) for kind, s in scores(results, "mobility1") if kind in kinds["regions"]], [1, 1])
    out += [
        "", "### M4 hourly", "",
        f"The competition's split, 48 steps, from the table above ({budget['steps']} steps of {budget['batch']} windows). OWA is relative to Naive2.",
        "Published: \"Evaluation and Ranks\" of Mcompetitions/M4-methods, and results of SalesforceAIResearch/gift-eval (their WQL is",
        "over nine levels, 0.1 to 0.9, ours over seven from 0.05 to 0.95, which weights the tails more and comes out lower:",
        "seasonal naive shows by how much, though its intervals differ too). ES-RNN is an ensemble that smooths every series by its",
        "own seasonal factors, Doornik et al. and FFORMA combine forecasts; TiRex and FlowState were trained on a large corpus; ours are",
        "single networks of width 64 after seconds of training on 414 series.",
        "",
    ]
    def m4(name, smape, mase, loss):
        return name, smape, mase, (smape / naive2["smape"] + mase / naive2["mase"]) / 2, loss
    out += ordered("M4", ["MASE", "sMAPE, %", "OWA", "WQL"],
                   [(name, mase, smape, owa, loss) for name, smape, mase, owa, loss in (m4(*row) for row in m4_rows)],
                   [(kind, mase, smape, owa, loss) for kind, smape, mase, owa, loss in
                    (m4(kind, s["smape"], s["mase"], s["weightedQuantileLoss"]) for kind, s in scores(results, "m4"))], [3, 3, 3, 4])
    out += [
        "", "### M3 monthly", "",
        "The competition's split, 18 steps, from the table above. Published: the submissions in robjhyndman/Mcomp, and",
        "ServiceNow/N-BEATS. One network for all 1428 series stays behind methods that choose a model for each, as `kalman` does.",
        "",
    ]
    out += ordered("M3", ["sMAPE, %", "MASE"], m3_rows, [(kind, s["smape"], s["mase"]) for kind, s in scores(results, "m3")], [2, 3])
    return out


def losers(kinds, results, sets):
    """How many of the sets each kind loses to SeasonalNaive on, a sentence for each measure."""
    missing = [
        f"{kind} on {sets[name]['title']}" for kind in kinds for name in sets
        if results.get((kind, name), {}).get("scores", {}).get("mase") is None]
    lines = []
    for measure, title in (("mase", "MASE"), ("weightedQuantileLoss", "weighted quantile loss")):
        worse = {}
        for kind in kinds:
            for name in sets:
                ours, reference = (
                    results.get((k, name), {}).get("scores", {}).get(measure) for k in (kind, "seasonal-naive"))
                if ours is not None and reference is not None and ours > reference:
                    worse.setdefault(kind, []).append(sets[name]["title"])
        listed = [
            f"{kind} on {len(names)} ({', '.join(names)})"
            for kind, names in sorted(worse.items(), key=lambda item: (-len(item[1]), item[0]))]
        everywhere = [kind for kind, names in worse.items() if len(names) == len(sets)]
        lines += [
            f"**Worse than SeasonalNaive** by {title}: " + ("; ".join(listed) or "none on any set")
            + f". On all {len(sets)}: {', '.join(everywhere) or 'none'}.", ""]
    lines.append(f"Without a result: {', '.join(missing) or 'none'}.")
    return lines
