/// Texts that were looked at in a terminal and found good. `␛` stands for the escape character.
let goldens: [String: String] = [
  "table60": #"""
  job            state      last run  next run  series  MASE
  ─────────────  ─────────  ────────  ────────  ──────  ────
  store-demand   succeeded  1 h ago   in 2 h     12345  0.81
  airline        running    30 s ago  –              1     –
  mobilité 日本  failed     1 d ago   in 5 d         7  1.31
  … not shown for want of width: failed, coverage, took, ε sp…

  """#,
  "chart60": #"""
  airline  AirPassengers               thousands of passengers
      │                                           ┊      ⢀⠄
      │                                           ┊     ⢀●●
  600 ┤                                           ┊     ⢠⠃⢇
      │                                      ⢀⠞⡄  ┊    ⢀● ⢸⠄
  500 ┤                           ⢠⢲         ⡸ ⢣  ┊   ⢀⡰⠁ ●⡄ ⢐
      │                ⡜⠙⡄        ⡎ ⡇       ⢠⠃ ⠘⡄ ┊  ⡦●●   ●⡀●
  400 ┤     ⡔⠤⡀       ⢸  ⢱       ⢰⠁ ⠸⡀    ⡤⠔⠁   ⠸⡀⢠●●●⠁    ⠐●⠃
      │    ⡜  ⢱     ⣄⡠⠇   ⢣    ⣄⡠⠃   ⠱⡀ ⡠⡜       ⠱⠃ ⠈       ⠑⠁
  300 ┤ ⢀⠤⠴⠁   ⢣ ⡠⢄⡜       ⢣⠋⠑⠜       ⠱⠊          ┊
      │⠒⠊      ⠈⠞                                 ┊
      └──────────┴──────────┴──────────┴──────────┴───────────
              1956-12    1957-12    1958-12    1959-12
       ⠤⠤ history ┊ median   ⢕⢕ 80 % interval   ● actual

  """#,
  "table80": #"""
  job            state      last run  next run  series  MASE  message
  ─────────────  ─────────  ────────  ────────  ──────  ────  ────────────────────
  store-demand   succeeded  1 h ago   in 2 h     12345  0.81  –
  airline        running    30 s ago  –              1     –  fit 420/1000
  mobilité 日本  failed     1 d ago   in 5 d         7  1.31  no rows at cutoff 2…
  … not shown for want of width: failed, coverage, took, ε spent

  """#,
  "chart80": #"""
  airline  AirPassengers                                   thousands of passengers
      │                                                           ┊        ⢀⢔
      │                                                           ┊       ⢀●●⠄
  600 ┤                                                           ┊       ⢠⠃⠈⡆
      │                                                    ⢀⠖⠙⡄   ┊      ⢐●  ⢣⢄
  500 ┤                                     ⢀⠔⢆            ⡸  ⢣   ┊     ⢐⡜⠅  ●⢆⠄ ⢔
      │                      ⡜⠉⠱⡀          ⢀⠎ ⠘⡄          ⡰⠁  ⠈⢆  ┊  ⢀⠦●●⠁    ⠈●⢔●
  400 ┤       ⡔⠢⢄           ⡜   ⢱          ⡎   ⠱⡀     ⢀⠤⠔⠊     ⠈⢆ ⡠●⣀●●⠑⠁      ⠈●⠁
      │      ⡜  ⠈⢆      ⢠⢄⡠⠜     ⢣     ⢀⢄⡠⠜     ⠱⡀ ⢀⡠⣀⠎         ⠈⠖⠁ ⠑⠁          ⠕⠁
  300 ┤  ⡠⠤⠤⠜    ⠈⢆  ⡠⠤⣠⠃         ⠱⡰⠉⠉⠢⠊         ⠘⠔⠁              ┊
      │⠒⠒⠁         ⠣⠊                                             ┊
      └┴─────────────┴──────────────┴──────────────┴──────────────┴──────────────┴
      1956-01     1956-12        1957-12        1958-12        1959-12     1960-12
       ⠤⠤ history ┊ median   ⢕⢕ 80 % interval   ● actual

  """#,
  "table140": #"""
  job            state      last run  next run  series  failed  MASE  coverage       took  ε spent  message
  ─────────────  ─────────  ────────  ────────  ──────  ──────  ────  ────────  ─────────  ───────  ──────────────────────────────────────────
  store-demand   succeeded  1 h ago   in 2 h     12345       0  0.81      81 %  3 min 4 s     1.20  –
  airline        running    30 s ago  –              1       0     –         –      3.2 s        –  fit 420/1000
  mobilité 日本  failed     1 d ago   in 5 d         7       3  1.31      64 %  2 h 3 min     2.00  no rows at cutoff 2026-11-20; check the "…

  """#,
  "chart140": #"""
  airline  AirPassengers                                                                                               thousands of passengers
      │                                                                                                           ┊               ⢀⢄⢔
      │                                                                                                           ┊              ⢐●⡠●⢅
  600 ┤                                                                                                           ┊             ⢐⡰⠁⢕⢕⢣⢄
      │                                                                                               ⡔⠒⠉⠱⡀       ┊           ⢀⢔●⠁   ⠈⢆⢅
  500 ┤                                                                    ⡠⠔⠒⡄                      ⡜    ⠘⡄      ┊         ⢀⢔⡠⠊⠅     ●⠢⡀⢄  ⢀⢔
      │                                       ⢀⠔⠉⠉⠉⢆                     ⡠⠊   ⠘⡄                  ⢀⠤⠊      ⠈⢢     ┊     ⢠⠒⠤●⠔●⠕⠁       ⠑⠈●⡀⢔⢕●
  400 ┤            ⡠⠔⠒⠤⢄                     ⡔⠁     ⠣⡀                 ⢀⠜      ⠘⢄            ⡠⠤⠤⠔⠊⠁          ⠑⢄  ⢀⠤⠤●⣀●⡔⠁●⠁⠑⠁           ⠐⢕⠑●⠉⠕
      │          ⢠⠊     ⠑⢄            ⢀⠤⣀⣀⡠⠤⠊        ⠈⠢⡀          ⡠⢄⣀⡠⠔⠊         ⠑⢄    ⢀⡠⠤⢄⣀⠜                  ⠑⠔⠁┊  ⠁⠉⠁                  ⠑⠕⠁
  300 ┤   ⢀⡠⠤⠤⠤⠤⠔⠁        ⠑⢄    ⣀⡠⠤⢄⣀⠔⠁                ⠈⠢⡠⠔⠊⠉⠉⠑⠢⠔⠉                 ⠉⠢⠔⠊⠁                          ┊
      │⠒⠒⠒⠁                 ⠉⠒⠔⠉                                                                                  ┊
      └┴──────────┴─────────────┴─────────────┴────────────┴─────────────┴─────────────┴────────────┴─────────────┴─────────────┴────────────┴
      1956-01  1956-06       1956-12       1957-06      1957-12       1958-06       1958-12      1959-06       1959-12       1960-06   1960-12
       ⠤⠤ history ┊ median   ⢕⢕ 80 % interval   ● actual

  """#,
  "tableASCII": #"""
  job            state      last run  next run  series  MASE  message
  -------------  ---------  --------  --------  ------  ----  --------------------
  store-demand   succeeded  1 h ago   in 2 h     12345  0.81  -
  airline        running    30 s ago  -              1     -  fit 420/1000
  mobilité 日本  failed     1 d ago   in 5 d         7  1.31  no rows at cutoff 2~
  ... not shown for want of width: failed, coverage, took, ε spent

  """#,
  "tableColor": #"""
  ␛[1mjob␛[0m            ␛[1mstate␛[0m      ␛[1mlast run␛[0m  ␛[1mnext run␛[0m  ␛[1mseries␛[0m  ␛[1mMASE␛[0m  ␛[1mmessage␛[0m
  ␛[90m─────────────␛[0m  ␛[90m─────────␛[0m  ␛[90m────────␛[0m  ␛[90m────────␛[0m  ␛[90m──────␛[0m  ␛[90m────␛[0m  ␛[90m────────────────────␛[0m
  store-demand   ␛[32msucceeded␛[0m  1 h ago   in 2 h     12345  0.81  ␛[90m–␛[0m
  airline        ␛[36mrunning␛[0m    30 s ago  ␛[90m–␛[0m              1     ␛[90m–␛[0m  fit 420/1000
  mobilité 日本  ␛[31mfailed␛[0m     1 d ago   in 5 d         7  ␛[33m1.31␛[0m  no rows at cutoff 2…
  ␛[90m… not shown for want of width: failed, coverage, took, ε spent␛[0m

  """#,
  "chartASCII": #"""
  airline  AirPassengers                                   thousands of passengers
      |                                                           :        ..
      |                                                           :       .oo
  600 +                                                           :       ****
      |                                                    _||    :      o*  *
  500 +                                      ||           _|  |   :     **   o*  .
      |                      |'|_          _| '|         _|   |_  :  .*oo    .o*.o
  400 +       _-|           |   |         _|   |       |_|     |_ *oo*o.      .*o.
      |      |   |       |_|     |   _ _-_|     |_  |_|         '|: *          ..
  300 +  _--|     |  _-_|         |_| |'         '||              :
      |'-'         '-'                                            :
      ++-------------+--------------+--------------+--------------+--------------+
      1956-01     1956-12        1957-12        1958-12        1959-12     1960-12
       -- history   ** median   .. 80 % interval   o actual

  """#,
  "chartColor": #"""
  ␛[1mairline  AirPassengers␛[0m               ␛[90mthousands of passengers␛[0m
     ␛[90m ␛[0m␛[90m│␛[0m                                           ␛[90m┊␛[0m      ␛[93m●␛[0m␛[34m⠄␛[0m
  ␛[90m600 ␛[0m␛[90m┤␛[0m                                       ⣀   ␛[90m┊␛[0m     ␛[96m⢠⠋␛[0m␛[93m●␛[0m
     ␛[90m ␛[0m␛[90m│␛[0m                           ⢠⢤         ⡰⠉⢆  ␛[90m┊␛[0m   ␛[34m⢀␛[0m␛[96m⢠␛[0m␛[93m●␛[0m ␛[93m●␛[0m␛[96m⡄␛[0m ␛[34m⢀␛[0m
  ␛[90m400 ␛[0m␛[90m┤␛[0m     ⢀⣀        ⢠⠊⠉⢆       ⢀⠎ ⢣     ⡀⢀⠔⠁ ⠈⢆ ␛[96m⢀␛[0m␛[93m●␛[0m␛[96m⢀␛[0m␛[93m●●●␛[0m   ␛[93m●␛[0m␛[96m⢄␛[0m␛[93m●␛[0m
     ␛[90m ␛[0m␛[90m│␛[0m    ⡔⠁ ⠣⡀   ⢀⠤⠤⠎   ⠣⡀⣀⡀⢠⠢⠔⠊   ⠣⡀⣀⠤⡰⠉⠁     ⠑⠁␛[34m⠁␛[0m␛[93m●␛[0m       ␛[93m●␛[0m␛[34m⠁␛[0m
     ␛[90m ␛[0m␛[90m│␛[0m⠤⠔⠉⠉    ⠈⠖⠉⠑⠊       ⠑⠁⠈⠁       ⠈           ␛[90m┊␛[0m
      ␛[90m└──────────┴──────────┴──────────┴──────────┴───────────␛[0m
      ␛[90m        1956-12    1957-12    1958-12    1959-12␛[0m
       ⠤⠤ ␛[90mhistory␛[0m   ␛[96m⠤⠤␛[0m ␛[90mmedian␛[0m   ␛[34m⢕⢕␛[0m ␛[90m80 % interval␛[0m   ␛[93m●␛[0m ␛[90mactual␛[0m

  """#,
  "json": #"""
  [
    {"job": "store-demand", "state": "succeeded", "last_run_at": "2026-11-21T03:58:20Z", "next_run_at": "2026-11-21T07:00:00Z", "series": 12345, "failed": 0, "mase": 0.8123, "coverage": 0.812, "duration_seconds": 184, "epsilon": 1.2, "message": null},
    {"job": "airline", "state": "running", "last_run_at": "2026-11-21T04:59:30Z", "next_run_at": null, "series": 1, "failed": 0, "mase": null, "coverage": null, "duration_seconds": 3.2, "epsilon": null, "message": "fit 420/1000"},
    {"job": "mobilité 日本", "state": "failed", "last_run_at": "2026-11-20T04:00:00Z", "next_run_at": "2026-11-25T20:06:40Z", "series": 7, "failed": 3, "mase": 1.31, "coverage": 0.64, "duration_seconds": 7400, "epsilon": 2, "message": "no rows at cutoff 2026-11-20; check the \"WHERE\" clause,\nthen retry"}
  ]

  """#,
  "csv": #"""
  job,state,last_run_at,next_run_at,series,failed,mase,coverage,duration_seconds,epsilon,message
  store-demand,succeeded,2026-11-21T03:58:20Z,2026-11-21T07:00:00Z,12345,0,0.8123,0.812,184,1.2,
  airline,running,2026-11-21T04:59:30Z,,1,0,,,3.2,,fit 420/1000
  mobilité 日本,failed,2026-11-20T04:00:00Z,2026-11-25T20:06:40Z,7,3,1.31,0.64,7400,2,"no rows at cutoff 2026-11-20; check the ""WHERE"" clause,
  then retry"

  """#,
]
